#include <algorithm>
#include <array>
#include <set>

#include "files/records.h"
#include "tasks/choice_fields.h"
#include "tasks/multiple_choice.h"

namespace assay::tasks {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string_view>;

struct SubjectGroup {
  std::string_view name;
  Words subjects;
};

/// The four groups of the paper's categories, as lm-eval's `mmlu` forms them.
const std::array<SubjectGroup, 4>& subject_groups() {
  static const std::array<SubjectGroup, 4> groups = {
      {{"stem",
        {"abstract_algebra", "anatomy", "astronomy", "college_biology", "college_chemistry",
         "college_computer_science", "college_mathematics", "college_physics", "computer_security",
         "conceptual_physics", "electrical_engineering", "elementary_mathematics",
         "high_school_biology", "high_school_chemistry", "high_school_computer_science",
         "high_school_mathematics", "high_school_physics", "high_school_statistics",
         "machine_learning"}},
       {"humanities",
        {"formal_logic", "high_school_european_history", "high_school_us_history",
         "high_school_world_history", "international_law", "jurisprudence", "logical_fallacies",
         "moral_disputes", "moral_scenarios", "philosophy", "prehistory", "professional_law",
         "world_religions"}},
       {"social_sciences",
        {"econometrics", "high_school_geography", "high_school_government_and_politics",
         "high_school_macroeconomics", "high_school_microeconomics", "high_school_psychology",
         "human_sexuality", "professional_psychology", "public_relations", "security_studies",
         "sociology", "us_foreign_policy"}},
       {"other",
        {"business_ethics", "clinical_knowledge", "college_medicine", "global_facts", "human_aging",
         "management", "marketing", "medical_genetics", "miscellaneous", "nutrition",
         "professional_accounting", "professional_medicine", "virology"}}}};
  return groups;
}

struct Question {
  std::string text;  ///< question, choices and "Answer:"
  int gold = 0;
};

Question question_of(std::string_view question, std::span<const std::string> choices, int gold) {
  std::string text(strip(question));
  for (int c = 0; c < 4; ++c) {
    text += fmt::format("\n{}. {}", char('A' + c), choices[static_cast<std::size_t>(c)]);
  }
  return {.text = text + "\nAnswer:", .gold = gold};
}

/// As the hub has it: `question`, four `choices`, and `answer` as a number from 0.
std::vector<Question> read_json_questions(const fs::path& file) {
  std::vector<Question> questions;
  for (const files::JsonRecord& record : files::read_jsonl(file)) {
    const ChoiceFields fields(record, file);
    const auto choices = fields.texts("choices");
    if (choices.size() != 4) fields.fail_here(fmt::format("{} choices, not four", choices.size()));
    const std::vector<std::string> letters = {"A", "B", "C", "D"};
    questions.push_back(
        question_of(fields.text("question"), choices, fields.gold("answer", letters)));
  }
  return questions;
}

std::vector<Question> read_questions(const fs::path& file) {
  if (file.extension() == ".jsonl") return read_json_questions(file);
  constexpr std::size_t kColumns = 6;
  std::vector<Question> questions;
  for (const files::CsvRecord& record : files::read_csv(file)) {
    const auto place = [&] { return fmt::format("{}: line {}", file.string(), record.line); };
    if (record.fields.size() != kColumns) {
      fail(ErrorCode::bad_data, "{}: {} columns, but question, A, B, C, D and answer are six",
           place(), record.fields.size());
    }
    const std::string_view answer = strip(record.fields[kColumns - 1]);
    if (answer.size() != 1 || answer[0] < 'A' || answer[0] > 'D') {
      fail(ErrorCode::bad_data, "{}: the answer is '{}', not A, B, C or D", place(), answer);
    }
    questions.push_back(
        question_of(record.fields[0], std::span(record.fields).subspan(1, 4), answer[0] - 'A'));
  }
  if (questions.empty()) fail(ErrorCode::bad_data, "{}: there is nothing in it", file.string());
  return questions;
}

/// <folder>/<split>/<subject>_<split>.csv, or .jsonl where that is there.
fs::path subject_file(const fs::path& folder, const std::string& split,
                      const std::string& subject) {
  const fs::path file = folder / split / fmt::format("{}_{}.jsonl", subject, split);
  std::error_code error;
  return fs::exists(file, error) ? file : fs::path(file).replace_extension(".csv");
}

/// Subjects that have a file in the split, in alphabetical order.
std::vector<std::string> subjects_of(const fs::path& folder, const std::string& split) {
  std::vector<std::string> subjects;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder / split, error)) {
    const std::string name = entry.path().filename().string();
    const std::string extension = entry.path().extension().string();
    if ((extension != ".csv" && extension != ".jsonl") || name.starts_with('.')) continue;
    const std::string ending = fmt::format("_{}{}", split, extension);
    const std::string subject = name.substr(0, name.size() - std::min(name.size(), ending.size()));
    if (!name.ends_with(ending) || mmlu_group(subject).empty()) {
      fail(ErrorCode::bad_data, "{}: this is no file of a subject of MMLU; <subject>{} is expected",
           entry.path().string(), ending);
    }
    subjects.push_back(subject);
  }
  std::ranges::sort(subjects);
  return subjects;
}

std::string chosen_split(const fs::path& folder, const std::string& wanted) {
  const Words splits = wanted.empty() ? Words{"test", "val"} : Words{wanted};
  for (const auto split : splits) {
    if (fs::is_directory(folder / split)) return std::string(split);
  }
  fail(ErrorCode::bad_data, "{}: there is no folder {} in it; MMLU has dev, val and test",
       folder.string(), wanted.empty() ? "test or val" : wanted);
}

/// What stands before every question of a subject.
std::string preamble(const fs::path& folder, const std::string& subject, int shots) {
  std::string name = subject;
  std::ranges::replace(name, '_', ' ');
  std::string text =
      fmt::format("The following are multiple choice questions (with answers) about {}.\n\n", name);
  if (shots == 0) return text;
  const fs::path file = subject_file(folder, "dev", subject);
  if (!fs::exists(file)) {
    fail(ErrorCode::bad_data,
         "{}: is missing; it holds the shots of {} (--num-fewshot 0 needs none)", file.string(),
         subject);
  }
  const auto questions = read_questions(file);
  if (std::ssize(questions) < shots) {
    fail(ErrorCode::bad_data, "{}: {} questions, but {} shots are asked for", file.string(),
         questions.size(), shots);
  }
  for (int i = 0; i < shots; ++i) {
    const Question& question = questions[static_cast<std::size_t>(i)];
    text += fmt::format("{} {}\n\n", question.text, char('A' + question.gold));
  }
  return text;
}

std::string missing_note(const std::vector<std::string>& present) {
  std::string missing;
  std::size_t known = 0;
  for (const SubjectGroup& group : subject_groups()) {
    known += group.subjects.size();
    for (const auto subject : group.subjects) {
      if (std::ranges::find(present, subject) != present.end()) continue;
      missing += (missing.empty() ? "" : ", ") + std::string(subject);
    }
  }
  if (missing.empty()) return {};
  return fmt::format("{} of MMLU's {} subjects; its average is not MMLU's. Missing: {}",
                     present.size(), known, missing);
}

}  // namespace

std::string_view mmlu_group(std::string_view subject) {
  for (const SubjectGroup& group : subject_groups()) {
    if (std::ranges::find(group.subjects, subject) != group.subjects.end()) return group.name;
  }
  return {};
}

ChoiceData read_mmlu(const fs::path& folder, const MmluOptions& options) {
  ChoiceData data{.task = "mmlu", .items = {}, .normalized = false, .source = folder.string()};
  const std::string split = chosen_split(folder, options.split);
  data.groups = subjects_of(folder, split);
  if (data.groups.empty()) {
    fail(ErrorCode::bad_data, "{}: no subject in it", (folder / split).string());
  }
  for (const std::string& subject : data.groups) {
    const std::string before = preamble(folder, subject, options.shots);
    int count = 0;
    for (const Question& question : read_questions(subject_file(folder, split, subject))) {
      if (options.limit > 0 && count++ == options.limit) break;
      data.items.push_back({.context = before + question.text,
                            .choices = {"A", "B", "C", "D"},
                            .gold = question.gold,
                            .group = subject});
    }
  }
  data.notes.push_back(fmt::format("split {}, {} shots", split, options.shots));
  if (const std::string note = missing_note(data.groups); !note.empty()) data.notes.push_back(note);
  return data;
}

}  // namespace assay::tasks
