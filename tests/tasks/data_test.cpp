#include <gtest/gtest.h>

#include "base/scratch_folder.h"
#include "files/table_file.h"
#include "tasks/data_files.h"
#include "tasks/multiple_choice.h"

namespace assay::tasks {
namespace {

using testing::expect_error;
using testing::ScratchFolder;

/// Written by tests/golden/scripts/make_tasks_golden.py with lm-eval.
const Json& golden() {
  static const Json json = base::read_json(std::string(ASSAY_GOLDEN_DIR) + "/tasks/prompts.json");
  return json;
}

TEST(HellaSwag, TextsEqualLmEval) {
  const ScratchFolder folder;
  std::string lines;
  for (const Json& c : golden().at("hellaswag")) lines += c.at("doc").dump() + "\n";
  const auto data = read_hellaswag(folder.write("h.jsonl", lines), 0);
  ASSERT_EQ(data.items.size(), golden().at("hellaswag").size());
  ASSERT_GE(data.items.size(), 5U);
  for (std::size_t i = 0; i < data.items.size(); ++i) {
    const Json& c = golden().at("hellaswag")[i];
    EXPECT_EQ(data.items[i].context, c.at("query").get<std::string>()) << i;
    EXPECT_EQ(data.items[i].choices, c.at("choices").get<std::vector<std::string>>()) << i;
    EXPECT_EQ(data.items[i].gold, c.at("gold").get<int>()) << i;
  }
  EXPECT_EQ(read_hellaswag(folder.path() / "h.jsonl", 2).items.size(), 2U);
}

TEST(HellaSwag, TakesPreparedTextsAsTheyAre) {
  const ScratchFolder folder;
  const auto data = read_hellaswag(
      folder.write("h.jsonl", R"({"query": "A: b [x]", "endings": ["NA", "None"], "label": "1"})"),
      0);
  EXPECT_EQ(data.items.at(0).context, "A: b [x]");
  EXPECT_EQ(data.items[0].choices, (std::vector<std::string>{"NA", "None"}));
  EXPECT_EQ(data.items[0].gold, 1);
}

TEST(HellaSwag, ErrorsNameTheLine) {
  const ScratchFolder folder;
  const auto rejects = [&](const std::string& line, const std::string& what) {
    const auto file = folder.write(
        "h.jsonl", R"({"query": "q", "endings": ["a", "b"], "label": 0})" + ("\n" + line));
    expect_error(ErrorCode::bad_data, {"h.jsonl: line 2", what},
                 [&] { (void)read_hellaswag(file, 0); });
  };
  rejects(R"({"query": "q", "endings": ["a", "b"], "label": 2})", "none of the 2 choices");
  rejects(R"({"query": "q", "endings": ["a", "b"], "label": -1})", "none of the 2 choices");
  rejects(R"({"query": "q", "endings": ["a", "b"], "label": ""})", "none of the 2 choices");
  rejects(R"({"query": "q", "endings": ["a", "b"]})", "no field 'label'");
  rejects(R"({"query": "q", "endings": ["a"], "label": 0})", "at least two choices");
  rejects(R"({"query": 1e999, "endings": ["a", "b"], "label": 0})", "line 2");
  rejects(R"({"ctx_a": "q", "endings": ["a", "b"], "label": 0})", "there is no field");
  expect_error(ErrorCode::bad_data, {"empty.jsonl", "nothing in it"},
               [&] { (void)read_hellaswag(folder.write("empty.jsonl", ""), 0); });
}

/// The folder of golden prompts: two subjects in dev and val.
void write_mmlu(const ScratchFolder& folder) {
  for (const auto& [name, content] : golden().at("mmlu").at("files").items()) {
    (void)folder.write(name, content.get<std::string>());
  }
}

TEST(Mmlu, PromptsEqualLmEval) {
  const ScratchFolder folder;
  write_mmlu(folder);
  for (const Json& c : golden().at("mmlu").at("prompts")) {
    const auto data = read_mmlu(folder.path(), {.shots = c.at("shots"), .split = "val"});
    const auto& item = data.items.at(c.at("index").get<std::size_t>());
    EXPECT_EQ(item.context, c.at("context").get<std::string>());
    EXPECT_EQ(item.group, c.at("subject").get<std::string>());
    EXPECT_EQ(item.gold, c.at("gold").get<int>());
    EXPECT_EQ(data.delimiter + item.choices[1], " B");
  }
  const auto limited = read_mmlu(folder.path(), {.shots = 1, .limit = 1});
  EXPECT_EQ(limited.items.size(), 2U);  // of each subject
  EXPECT_NE(limited.notes.at(1).find("2 of MMLU's 57 subjects"), std::string::npos);
}

TEST(Mmlu, BadFoldersAreErrors) {
  const ScratchFolder folder;
  const auto rejects = [&](const MmluOptions& options, std::initializer_list<std::string> parts) {
    expect_error(ErrorCode::bad_data, parts, [&] { (void)read_mmlu(folder.path(), options); });
  };
  rejects({}, {"there is no folder test or val"});
  write_mmlu(folder);
  rejects({.split = "test"}, {"there is no folder test"});
  rejects({.shots = 6}, {"anatomy_dev.csv", "6 shots"});
  (void)folder.write("val/anatomy_val.csv", "q,a,b,c,d,E\n");
  rejects({}, {"anatomy_val.csv: line 1", "the answer is 'E'"});
  (void)folder.write("val/anatomy_val.csv", "q,a,b,c,D\n");
  rejects({}, {"anatomy_val.csv: line 1", "5 columns"});
  (void)folder.write("val/anatomy_val.csv", "q,a,b,c,\"d,D\n");
  rejects({}, {"anatomy_val.csv: line 1", "never closed"});
  (void)folder.write("val/anatomy_val.csv", "");
  rejects({}, {"anatomy_val.csv", "nothing in it"});
  (void)folder.write("val/anatomy_val.csv", "q,None,NA,,nan,D\n");
  EXPECT_NE(
      read_mmlu(folder.path(), {}).items.at(0).context.find("\nA. None\nB. NA\nC. \nD. nan\n"),
      std::string::npos);
  (void)folder.write("val/alchemy_val.csv", "q,a,b,c,d,D\n");
  rejects({}, {"alchemy_val.csv", "no file of a subject"});
  std::filesystem::remove(folder.path() / "val/alchemy_val.csv");
  std::filesystem::remove(folder.path() / "dev/anatomy_dev.csv");
  rejects({}, {"anatomy_dev.csv", "is missing"});
  EXPECT_NO_THROW((void)read_mmlu(folder.path(), {.shots = 0}));
}

TEST(MultipleChoice, MapsFields) {
  const ScratchFolder folder;
  (void)folder.write("arc.jsonl",
                     "{\"question\": \"Why?\", \"choices\": {\"text\": [\"x\", \"y\"]}, "
                     "\"answer\": \"B\", \"a\": \"p\", \"b\": \"q\", \"c\": \"q\"}\n");
  const auto data = read_multiple_choice(
      folder.write("arc.yaml",
                   "file: arc.jsonl\nquery: 'Question: {question}\n\n  Answer:'\n"
                   "choices: choices.text\ngold: answer\n"),
      0);
  EXPECT_EQ(data.items.at(0).context, "Question: Why?\nAnswer:");
  EXPECT_EQ(data.items[0].choices, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(data.items[0].gold, 1);
  const auto fields = read_multiple_choice(
      folder.write("b.yaml", "file: arc.jsonl\nquery: question\nchoices: [a, b]\ngold: c\n"), 0);
  EXPECT_EQ(fields.items.at(0).context, "Why?");
  EXPECT_EQ(fields.items[0].gold, 1);
  expect_error(ErrorCode::usage, {"c.yaml: line 2", "unknown key 'qury'"}, [&] {
    (void)read_multiple_choice(folder.write("c.yaml", "file: arc.jsonl\nqury: a\n"), 0);
  });
  expect_error(ErrorCode::bad_data, {"arc.jsonl: line 1", "no field 'gone'"}, [&] {
    (void)read_multiple_choice(folder.write("d.yaml", "file: arc.jsonl\nquery: gone\n"), 0);
  });
  const auto files = data_files(folder.path() / "arc.yaml");
  ASSERT_EQ(files.size(), 2U);  // the map and what it maps are both in the key
  EXPECT_EQ(files[1].filename(), "arc.jsonl");
}

TEST(LabelledData, CsvJsonlAndTsvSayTheSame) {
  const ScratchFolder folder;
  const auto tsv = files::read_labelled(folder.write("a.tsv", "sentence\tlabel\nNA, x\t1\n"));
  const auto csv = files::read_labelled(folder.write("a.csv", "label,text\n1,\"NA, x\"\n"));
  const auto jsonl =
      files::read_labelled(folder.write("a.jsonl", "{\"sentence\": \"NA, x\", \"label\": 1}\n"));
  for (const auto& rows : {tsv, csv, jsonl}) {
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0].text, "NA, x");
    EXPECT_EQ(rows[0].label, 1);
  }
  const auto rejects = [&](const std::string& name, const std::string& content,
                           const std::string& what) {
    expect_error(ErrorCode::bad_data, {name + ": line", what},
                 [&] { (void)files::read_labelled(folder.write(name, content)); });
  };
  rejects("b.csv", "", "nothing in it");
  rejects("b.csv", "text,label\n", "no rows");
  rejects("b.csv", "text,other\na,1\n", "the header must name");
  rejects("b.csv", "text,label\na\n", "1 columns, but the header names 2");
  rejects("b.csv", "text,label\na,x\n", "is not an integer");
  rejects("b.jsonl", "{\"text\": 3, \"label\": 1}\n", "are needed");
  rejects("b.jsonl", "{\"text\": \"a\", \"label\": -1}\n", "is not an integer");
}

}  // namespace
}  // namespace assay::tasks
