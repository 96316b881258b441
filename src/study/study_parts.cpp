#include "study/study_parts.h"

#include <fmt/format.h>

#include <array>
#include <limits>

#include "base/io.h"
#include "base/names.h"
#include "tasks/hub_data.h"

namespace assay::study {
namespace {

constexpr std::int64_t kMostTokens = 1 << 24;
constexpr std::int64_t kMostItems = std::numeric_limits<int>::max();

struct CountKey {
  const char* name;
  std::int64_t low;
  std::int64_t high;
};

// `prompt: 0` and `generate: 0` mean that nothing of the kind is timed.
constexpr std::array<CountKey, 3> kDecoderCounts = {
    {{"prompt", 0, kMostTokens}, {"generate", 0, kMostTokens}, {"depth", 0, kMostTokens}}};
constexpr CountKey kSequence = {"sequence", 1, kMostTokens};
constexpr CountKey kBatch = {"batch", 1, 1 << 16};
constexpr CountKey kLimit = {"limit", 0, kMostItems};
constexpr CountKey kBatchSize = {"batch_size", 1, 1 << 16};

struct TextKey {
  const char* name;
  std::vector<std::string> choices;
};

struct TaskKeys {
  const char* task;
  bool needs_file;
  std::vector<CountKey> counts;
  std::vector<TextKey> texts = {};
};

const std::vector<TaskKeys>& task_keys() {
  static const std::vector<TaskKeys> keys = {
      {"sst2", true, {kLimit, kBatchSize}},
      {"hellaswag", true, {kLimit, kBatchSize}},
      {"mmlu",
       true,
       {kLimit, kBatchSize, {"num_fewshot", 0, 100}},
       {{"split", {"dev", "val", "test"}}}},
      {"multiple_choice", true, {kLimit, kBatchSize}},
      {"perplexity",
       true,
       {{"context", 2, kMostTokens}, {"stride", 1, kMostTokens}, kLimit},
       {{"procedure", {"huggingface", "llama.cpp"}}}},
      {"fidelity",
       false,
       {{"sequences", 1, 1 << 20}, {"length", 2, kMostTokens}, {"seed", 0, kMostItems}}}};
  return keys;
}

void add_counts(Json& workload, const YamlNode& node, const CountKey& key) {
  const auto values = node.get(key.name);
  if (!values) return;
  Json list = Json::array();
  for (const YamlNode& value : values->elements()) list.push_back(value.integer(key.low, key.high));
  workload[key.name] = list;
}

const TaskKeys& keys_of(const YamlNode& named) {
  const std::string name = named.text();
  std::vector<std::string> known;
  for (const TaskKeys& keys : task_keys()) {
    if (name == keys.task) return keys;
    known.emplace_back(keys.task);
  }
  named.fail_here(fmt::format("unknown task '{}'{}; this build has {}", base::printable(name),
                              base::did_you_mean(name, known), fmt::join(known, ", ")));
}

/// The hub's data set in place of a file.
void add_hub_data(Json& task, const YamlNode& node) {
  const auto name = task.at("task").get<std::string>();
  const auto revision = node.value().is_object() ? node.get("revision") : std::nullopt;
  try {
    const auto data = tasks::find_hub_data(name, revision ? revision->text() : "");
    task["file"] = data.path.string();
    task["dataset"] = {{"repo", data.repo}, {"revision", data.revision}};
  } catch (const Error& error) {
    node.fail_here(error.what());
  }
}

Json read_task(const YamlNode& node, const std::filesystem::path& folder) {
  if (node.value().is_string()) {
    const TaskKeys& keys = keys_of(node);
    if (tasks::has_hub_data(keys.task)) {
      Json task = {{"task", keys.task}};
      add_hub_data(task, node);
      return task;
    }
    if (keys.needs_file) {
      node.fail_here(fmt::format("the task {0} needs a file: {{task: {0}, file: ...}}", keys.task));
    }
    return {{"task", keys.task}};
  }
  if (!node.value().is_object()) node.fail_here("a task is a name or a mapping with 'task'");
  const YamlNode named = node.need("a task", "task");
  const TaskKeys& keys = keys_of(named);
  std::vector<std::string> known = {"task", "file"};
  if (tasks::has_hub_data(keys.task)) known.emplace_back("revision");
  for (const CountKey& key : keys.counts) known.emplace_back(key.name);
  for (const TextKey& key : keys.texts) known.emplace_back(key.name);
  node.check_keys(fmt::format("the task {}", keys.task), known);

  Json task = {{"task", keys.task}};
  if (const auto file = node.get("file")) {
    task["file"] = read_path(*file, folder);
    if (node.get("revision")) node.fail_here("'revision' is of the hub's data set, not of a file");
  } else if (tasks::has_hub_data(keys.task)) {
    add_hub_data(task, node);
  } else if (keys.needs_file) {
    node.fail_here(fmt::format("the task {} needs 'file'", keys.task));
  }
  for (const CountKey& key : keys.counts) {
    if (const auto count = node.get(key.name)) task[key.name] = count->integer(key.low, key.high);
  }
  for (const TextKey& key : keys.texts) {
    if (const auto text = node.get(key.name)) task[key.name] = text->one_of(key.choices);
  }
  return task;
}

}  // namespace

std::string read_path(const YamlNode& node, const std::filesystem::path& folder) {
  return std::filesystem::absolute(folder / node.text()).lexically_normal().string();
}

Json read_workload(const YamlNode& node, const std::filesystem::path& folder) {
  node.check_keys("a workload",
                  {"prompt", "generate", "depth", "sequence", "batch", "repetitions", "warmup",
                   "min_seconds", "seed", "data", "noise_floor", "deterministic"});
  Json workload = Json::object();
  for (const CountKey& key : kDecoderCounts) add_counts(workload, node, key);
  if (node.get("sequence") && !workload.empty()) {
    node.get("sequence")
        ->fail_here(
            fmt::format("'sequence' is of encoders and '{}' of decoders: a model has one of them",
                        workload.begin().key()));
  }
  add_counts(workload, node, kSequence);
  add_counts(workload, node, kBatch);
  for (const CountKey& key : {CountKey{"repetitions", 1, kMostItems},
                              {"warmup", 0, kMostItems},
                              {"seed", 0, kMostItems}}) {
    if (const auto count = node.get(key.name)) {
      workload[key.name] = count->integer(key.low, key.high);
    }
  }
  if (const auto seconds = node.get("min_seconds")) {
    workload["min_seconds"] = seconds->number(0, 86'400);
  }
  if (const auto data = node.get("data")) workload["data"] = read_path(*data, folder);
  if (const auto twice = node.get("noise_floor")) workload["noise_floor"] = twice->flag();
  if (const auto same = node.get("deterministic")) workload["deterministic"] = same->flag();
  return workload;
}

Json read_tasks(const YamlNode& node, const std::filesystem::path& folder) {
  Json tasks = Json::array();
  for (const YamlNode& item : node.elements()) {
    Json task = read_task(item, folder);
    for (const Json& other : tasks) {
      // Rows and answers carry the task's name.
      if (other["task"] == task["task"]) {
        item.fail_here(fmt::format("the task {} stands twice", task["task"].get<std::string>()));
      }
    }
    tasks.push_back(std::move(task));
  }
  return tasks;
}

}  // namespace assay::study
