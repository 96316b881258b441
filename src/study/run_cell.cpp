#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/hash.h"
#include "base/json.h"
#include "engine/model.h"
#include "measure/bench.h"
#include "measure/environment.h"
#include "study/baseline.h"
#include "study/calibration.h"
#include "study/cell.h"
#include "study/row.h"
#include "study/workload_data.h"
#include "tasks/data_files.h"
#include "tasks/multiple_choice.h"

namespace assay::study {
namespace {

constexpr int kDefaultPrompt = 512;
constexpr int kDefaultSequence = 128;

/// A cell while it runs: the loaded model and where its records go.
class CellRun {
 public:
  CellRun(const Cell& cell, const RecordSink& sink) : cell_(cell), sink_(sink) {}

  void run() {
    load();
    if (!cell_.workload.is_null()) bench();
    if (!cell_.tasks.empty()) tasks::require_scorable(*source_);
    for (const Json& task : cell_.tasks) run_task(task);
  }

  [[nodiscard]] bool loaded() const { return model_ != nullptr; }

 private:
  void load();
  void bench();
  void run_task(const Json& task);
  tasks::TaskResult score(const std::string& name, const Json& task,
                          const tasks::TaskOptions& options);
  tasks::TaskResult fidelity(const Json& task, const tasks::TaskOptions& options);
  void emit_row(const std::string& test, Json metrics, const std::vector<double>& samples,
                const std::string& reason, const Json& notes, const Json& data = {}) {
    Json row = make_row(*model_, test, std::move(metrics), samples, reason, notes);
    if (!data.is_null()) row["data"] = data;
    sink_({{"type", "row"}, {"row", std::move(row)}});
  }
  [[nodiscard]] base::ProgressSink progress() const {
    return [this](const std::string& stage, double fraction) {
      sink_({{"type", "stage"}, {"text", stage}, {"fraction", fraction}});
    };
  }
  [[nodiscard]] Samples workload_data() const;

  const Cell& cell_;
  const RecordSink& sink_;
  std::shared_ptr<const engine::ModelSource> source_;
  precision::Recipe recipe_;
  std::unique_ptr<engine::Model> model_;
};

void CellRun::load() {
  progress()("open", 0.0);
  source_ = engine::ModelSource::open(cell_.model);
  if (cell_.workload.is_null() && !cell_.tasks.empty()) tasks::require_scorable(*source_);
  recipe_ = precision::parse_recipe(cell_.recipe_name, cell_.recipe, "recipe " + cell_.recipe_name);
  auto plan = calibrated_plan(*source_, recipe_, cell_, progress());
  Json record = {{"type", "plan"},
                 {"plan", plan.to_json()},
                 {"model", source_->name()},
                 {"parameters", source_->parameters()},
                 {"source_bytes", source_->bytes_by_encoding()},
                 {"plan_hash", plan.hash()}};
  sink_(record);
  if (!plan.supported()) fail(ErrorCode::unsupported, "{}", plan.reasons());
  model_ = std::make_unique<engine::Model>(
      source_, std::move(plan),
      engine::LoadOptions{.threads = cell_.threads, .progress = progress()});
  record["weight_bytes"] = model_->weight_bytes();
  record["threads"] = model_->threads();
  sink_(record);
}

std::vector<int> int_list(const Json& workload, const char* key, std::vector<int> fallback) {
  if (!workload.contains(key)) return fallback;
  const Json& value = workload.at(key);
  if (value.is_array()) return value.get<std::vector<int>>();
  return {value.get<int>()};
}

measure::TimingOptions timing_options(const Json& workload, measure::TimingOptions defaults) {
  defaults.iterations = workload.value("repetitions", defaults.iterations);
  defaults.warmup = workload.value("warmup", defaults.warmup);
  defaults.min_seconds = workload.value("min_seconds", defaults.min_seconds);
  // An interleaved cell is one of several rounds, which share the iterations.
  const int rounds = std::max(1, workload.value("interleave", 1));
  defaults.iterations = (defaults.iterations + rounds - 1) / rounds;
  defaults.min_seconds /= rounds;
  return defaults;
}

/// Samples from files, and a word on what goes where; nothing where tokens are random.
Samples CellRun::workload_data() const {
  const Json& w = cell_.workload;
  if (!w.contains("data")) return {};
  auto samples = read_workload_data(w.at("data").get<std::string>(), *source_);
  const auto lengths = source_->config().causal ? int_list(w, "prompt", {kDefaultPrompt})
                                                : int_list(w, "sequence", {kDefaultSequence});
  progress()(fmt::format("data {} samples x {} tokens -> {}", samples.size(),
                         fmt::join(lengths, ", "), model_->plan().device_names()),
             0.0);
  return samples;
}

/// The rows of one pass over the workload, and with `noise_floor` those of a second pass against
/// it.
void CellRun::bench() {
  const Json& w = cell_.workload;
  const auto data = workload_data();
  std::vector<double> first_pass;
  const bool twice = w.value("noise_floor", false);
  model_->set_fixed_tiles(w.value("deterministic", false));
  const auto pass = [&](const measure::RowSink& sink) {
    if (model_->config().causal) {
      const measure::DecoderWorkload workload{.prompt = int_list(w, "prompt", {kDefaultPrompt}),
                                              .generate = int_list(w, "generate", {128}),
                                              .depth = int_list(w, "depth", {0}),
                                              .batch = int_list(w, "batch", {1}),
                                              .timing = timing_options(w, {}),
                                              .seed = w.value("seed", std::uint64_t{1})};
      measure::bench_decoder(*model_, workload, data, progress(), sink);
    } else {
      const measure::EncoderWorkload defaults;
      const measure::EncoderWorkload workload{
          .batch = int_list(w, "batch", {1}),
          .sequence = int_list(w, "sequence", {kDefaultSequence}),
          .timing = timing_options(w, defaults.timing),
          .seed = w.value("seed", std::uint64_t{1})};
      measure::bench_encoder(*model_, workload, data, progress(), sink);
    }
  };
  const std::string rate = model_->config().causal ? "tokens_per_second" : "samples_per_second";
  if (twice) {
    pass([&](measure::BenchRow&& row) {
      first_pass.push_back(row.metrics[rate]["value"].get<double>());
    });
  }
  std::size_t index = 0;
  pass([&](measure::BenchRow&& row) {
    if (twice) {
      const double now = row.metrics[rate]["value"].get<double>();
      row.metrics["noise_floor"] = {{"value", std::abs(now / first_pass[index++] - 1.0)},
                                    {"unit", "1"}};
    }
    Json made =
        make_row(*model_, row.test, std::move(row.metrics), row.samples, row.reason, nullptr);
    made["iterations"] = std::move(row.iterations);
    made["conditions"] = std::move(row.conditions);
    made["marks"] = std::move(row.marks);
    sink_({{"type", "row"}, {"row", std::move(made)}});
  });
}

tasks::TaskResult CellRun::fidelity(const Json& task, const tasks::TaskOptions& options) {
  const bool stored = !recipe_.default_precision.weight.has_value();
  if (stored && model_->plan().source_quantized) {
    tasks::TaskResult result{.task = "fidelity"};
    result.metrics["kl_divergence"] = {
        {"value", nullptr}, {"reason", "the baseline is the dequantization of this very encoding"}};
    return result;
  }
  BaselineProcess baseline(cell_, task);
  auto result = tasks::run_fidelity(*model_, baseline.inputs(), baseline, options);
  baseline.check_proved();
  return result;
}

/// Answers on their way to the store: in parts, about one a second, so that little is lost when the
/// run is stopped. Nothing is sent that the ledger does not vouch for.
class ItemSender {
 public:
  ItemSender(std::string test, engine::Model& model, const RecordSink& sink)
      : test_(std::move(test)), model_(model), sink_(sink) {}

  void add(const Json& items) {
    pending_.insert(pending_.end(), items.begin(), items.end());
    const auto now = Clock::now();
    if (now - sent_ < std::chrono::seconds(1)) return;
    sent_ = now;
    if (precision::compare(model_.plan(), model_.ledger()).empty()) send();
  }
  void send() {
    if (pending_.empty()) return;
    sink_({{"type", "items"}, {"test", test_}, {"items", std::exchange(pending_, Json::array())}});
  }

 private:
  using Clock = std::chrono::steady_clock;
  std::string test_;
  engine::Model& model_;
  const RecordSink& sink_;
  Json pending_ = Json::array();
  Clock::time_point sent_ = Clock::now();
};

/// Outlier columns that one call finds depend on what else is in it.
bool depends_on_batch(const precision::Plan& plan) {
  return std::ranges::any_of(plan.entries, [](const precision::PlanEntry& entry) {
    return entry.precision.activation == precision::Activation::int8_dynamic &&
           entry.precision.threshold > 0 && !entry.outliers;
  });
}

tasks::TaskResult CellRun::score(const std::string& name, const Json& task,
                                 const tasks::TaskOptions& options) {
  if (name == "fidelity") return fidelity(task, options);
  const auto file = task.at("file").get<std::string>();
  if (name == "sst2") return tasks::run_sst2(*model_, file, options);
  if (name == "perplexity") {
    return tasks::run_perplexity(
        *model_, file,
        {.procedure = tasks::perplexity_procedure(task.value("procedure", "huggingface")),
         .context = task.value("context", 512),
         .stride = task.value("stride", task.value("context", 512))},
        options);
  }
  tasks::ChoiceData data;
  if (name == "hellaswag") {
    data = tasks::read_hellaswag(file, options.limit);
  } else if (name == "mmlu") {
    data = tasks::read_mmlu(file, {.shots = task.value("num_fewshot", 5),
                                   .split = task.value("split", ""),
                                   .limit = options.limit});
  } else if (name == "multiple_choice") {
    data = tasks::read_multiple_choice(file, options.limit);
  } else {
    fail(ErrorCode::usage, "unknown task '{}'", name);
  }
  return tasks::run_multiple_choice(*model_, data, options);
}

/// What was scored: name and content hash of the data, and where it comes from in the hub.
Json data_identity(const Json& task) {
  if (!task.contains("file")) return {};
  const std::filesystem::path path = task.at("file").get<std::string>();
  const auto files = tasks::data_files(path);
  base::Sha256 hash;
  for (const auto& file : files) hash.update(files::content_hash(file));
  Json data = {{"name", path.filename().string()},
               {"sha256", files.size() == 1 ? files::content_hash(files.front()) : hash.hex()}};
  if (task.contains("dataset")) data.update(task.at("dataset"));
  return data;
}

void CellRun::run_task(const Json& task) {
  const auto name = task.at("task").get<std::string>();
  progress()(name, 0.0);
  model_->ledger().clear();
  model_->set_fixed_tiles(true);  // a score does not depend on what else is in the batch
  ItemSender sender(name, *model_, sink_);
  bool streamed = false;
  const tasks::TaskOptions options{
      .limit = task.value("limit", 0),
      .batch = task.value("batch_size", name == "sst2" ? 8 : 16),
      .progress = progress(),
      .items =
          [&](const Json& items) {
            streamed = true;
            sender.add(items);
          },
      .resume = cell_.resume.is_object() ? cell_.resume.value(name, Json::array()) : Json::array()};
  auto result = score(name, task, options);
  if (!streamed && !result.items.is_null()) sender.add(result.items);
  sender.send();
  if (name != "sst2" && name != "fidelity" && depends_on_batch(model_->plan())) {
    result.notes.push_back(fmt::format(
        "int8 finds its outlier columns in each call, so scores depend on what is batched "
        "(batch size {}); `outliers: calibrated` and `threshold: 0` do not",
        options.batch));
  }
  emit_row(name, std::move(result.metrics), {}, {}, result.notes, data_identity(task));
}

}  // namespace

void run_cell(const Cell& cell, const RecordSink& sink) {
  CellRun run(cell, sink);
  const auto report = [&](ErrorCode code, const std::string& message) {
    // A device that was there when the model was loaded is lost, not unsupported.
    const bool lost = code == ErrorCode::device_missing && run.loaded();
    sink({{"type", "error"},
          {"code", exit_code(code)},
          {"status", lost ? std::string_view("failed") : cell_status(code)},
          {"message", message}});
  };
  try {
    run.run();
    sink({{"type", "end"}, {"environment", measure::environment()}});
  } catch (const Error& error) {
    report(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    report(ErrorCode::out_of_memory, "an allocation failed");
  } catch (const std::exception& error) {
    report(ErrorCode::internal, error.what());
  }
}

}  // namespace assay::study
