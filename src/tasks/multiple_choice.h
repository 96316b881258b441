#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "tasks/choice_text.h"
#include "tasks/task.h"

namespace assay::tasks {

/// A data set of questions with choices.
struct ChoiceData {
  std::string task;
  std::vector<ChoiceItem> items;
  std::string delimiter = " ";      ///< between context and choice
  bool normalized = true;           ///< acc_norm is one of its metrics
  std::vector<std::string> groups;  ///< group names, in order; empty where items have none
  std::vector<std::string> notes;   ///< what belongs in the row: missing subjects
  std::string source;               ///< for messages: the file or folder
};

/// HellaSwag: the official JSONL (activity_label, ctx_a, ctx_b, endings, label) with lm-eval's
/// preprocessing, or JSONL with `query`, `endings` and `label` whose texts are taken as they are.
/// bad_data with file and line for missing fields, labels out of range, an empty file. `limit` 0:
/// all.
[[nodiscard]] ChoiceData read_hellaswag(const std::filesystem::path& file, int limit);

/// lm-eval's text preprocessing of HellaSwag: strip, " [title]" to ". ", brackets out, two spaces
/// to one.
[[nodiscard]] std::string hellaswag_text(std::string_view text);

struct MmluOptions {
  int shots = 5;      ///< from dev, the first ones; at most what dev holds
  std::string split;  ///< "test", "val"; empty: test where it is there, else val
  int limit = 0;      ///< of each subject, as lm-eval counts; 0: all
};
/// MMLU as its folders are: <split>/<subject>_<split>.csv, six columns without header; or .jsonl
/// with `question`, `choices` and `answer`. Prompts as lm-eval's `mmlu` builds them. A subject
/// without dev file while shots are asked for is bad_data; a subject missing from the split is
/// named in a note; a file of no known subject is bad_data.
[[nodiscard]] ChoiceData read_mmlu(const std::filesystem::path& folder, const MmluOptions& options);
/// "stem", "humanities", "social_sciences" or "other"; empty for no subject of MMLU.
[[nodiscard]] std::string_view mmlu_group(std::string_view subject);

/// JSONL with `query`, `choices` and `gold`, or a YAML file that names another file and maps its
/// fields (see docs/tasks.md). bad_data with file and line, usage for a wrong map.
[[nodiscard]] ChoiceData read_multiple_choice(const std::filesystem::path& file, int limit);

/// Scores every choice by its log-likelihood. acc: the likeliest is gold; acc_norm: the likeliest
/// per character. With Wilson interval, lm-eval's standard error, and chance. Groups and subjects
/// are metrics of their own: acc_mmlu_stem, acc_mmlu_anatomy.
[[nodiscard]] TaskResult run_multiple_choice(engine::Model& model, const ChoiceData& data,
                                             const TaskOptions& options);

}  // namespace assay::tasks
