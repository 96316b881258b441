#include <algorithm>
#include <cmath>

#include "files/table_file.h"
#include "stats/calibration.h"
#include "stats/classification.h"
#include "tasks/metrics.h"

namespace assay::tasks {
namespace {

/// A labelled sample: its token ids, and its text where there is one.
struct Sample {
  std::vector<engine::TokenId> ids;
  int label = 0;
  std::string text;
};

struct Samples {
  std::vector<Sample> all;
  int truncated = 0;
};

Samples from_tokens(const engine::ModelSource& source, const std::filesystem::path& file) {
  const auto most = static_cast<std::size_t>(source.config().max_positions);
  Samples samples;
  for (auto& row : files::read_labelled_tokens(file)) {
    const std::size_t index = samples.all.size();
    for (const int id : row.ids) {
      if (id < source.config().vocabulary) continue;
      fail(ErrorCode::bad_data, "{}: sample {}: token {} is not below the model's {}",
           file.string(), index, id, source.config().vocabulary);
    }
    if (row.ids.size() > most) {
      row.ids.resize(most);
      ++samples.truncated;
    }
    samples.all.push_back({.ids = std::move(row.ids), .label = row.label, .text = {}});
  }
  return samples;
}

Samples from_text(const engine::ModelSource& source, const std::filesystem::path& file,
                  std::size_t limit) {
  const auto most = static_cast<std::size_t>(source.config().max_positions);
  auto rows = files::read_labelled(file);
  rows.resize(std::min(rows.size(), limit));
  Samples samples;
  for (auto& row : rows) {
    auto ids = source.tokenizer().encode(row.text);
    if (ids.size() > most) {
      ids = source.tokenizer().encode(row.text, {.max_length = most});
      ++samples.truncated;
    }
    samples.all.push_back({.ids = std::move(ids), .label = row.label, .text = std::move(row.text)});
  }
  return samples;
}

Samples read_samples(const engine::Model& model, const std::filesystem::path& file, int limit) {
  if (model.config().head != models::HeadKind::classifier) {
    fail(ErrorCode::usage, "{} has no classification head; sst2 needs one", model.source().name());
  }
  const std::size_t most =
      limit > 0 ? static_cast<std::size_t>(limit) : static_cast<std::size_t>(-1);
  Samples samples = files::is_pretokenized(file) ? from_tokens(model.source(), file)
                                                 : from_text(model.source(), file, most);
  samples.all.resize(std::min(samples.all.size(), most));
  const auto labels = static_cast<int>(model.config().labels.size());
  for (std::size_t i = 0; i < samples.all.size(); ++i) {
    if (samples.all[i].label < labels) continue;
    fail(ErrorCode::bad_data, "{}: item {}: label {} is outside the model's {} labels",
         file.string(), i + 1, samples.all[i].label, labels);
  }
  return samples;
}

Json answer_of(std::size_t index, const Sample& sample, std::span<const float> logits) {
  // Softmax's largest entry; the first of equals.
  const auto best = kernels::cpu::argmax(logits);
  const double total = kernels::cpu::log_sum_exp(logits);
  Json answer = {{"i", index},
                 {"gold", sample.label},
                 {"predicted", best},
                 {"confidence", std::exp(double{logits[static_cast<std::size_t>(best)]} - total)}};
  if (!sample.text.empty()) answer["text"] = sample.text;
  return answer;
}

Json averages(const stats::ClassAverages& average, double stats::ClassAverages::*part) {
  return metric(average.*part, "1");
}

void add_class_metrics(Json& metrics, const stats::ConfusionMatrix& matrix) {
  using stats::ClassAverages;
  if (matrix.classes() == 2) {
    metrics["precision"] = metric(matrix.precision(), "1");
    metrics["recall"] = metric(matrix.recall(), "1");
    metrics["f1"] = metric(matrix.f1(), "1");
  }
  for (const auto& [name, average] :
       {std::pair{"macro", matrix.macro()}, {"weighted", matrix.weighted()}}) {
    metrics[fmt::format("precision_{}", name)] = averages(average, &ClassAverages::precision);
    metrics[fmt::format("recall_{}", name)] = averages(average, &ClassAverages::recall);
    metrics[fmt::format("f1_{}", name)] = averages(average, &ClassAverages::f1);
  }
  Json table = Json::array();
  for (int expected = 0; expected < matrix.classes(); ++expected) {
    Json row = Json::array();
    for (int predicted = 0; predicted < matrix.classes(); ++predicted) {
      row.push_back(matrix.count(expected, predicted));
    }
    table.push_back(std::move(row));
  }
  metrics["confusion_matrix"] = {{"value", std::move(table)}, {"unit", "items"}};
}

Json metrics_of(const Json& answers, int classes) {
  stats::ConfusionMatrix matrix(classes);
  std::vector<double> confidences;
  std::vector<std::uint8_t> correct;
  for (const Json& answer : answers) {
    matrix.add(answer.at("gold").get<int>(), answer.at("predicted").get<int>());
    confidences.push_back(std::min(1.0, answer.at("confidence").get<double>()));
    correct.push_back(answer.at("gold") == answer.at("predicted") ? 1 : 0);
  }
  Json metrics;
  add_accuracy(metrics, "acc", matrix.correct(), matrix.total(), 1.0 / classes);
  add_class_metrics(metrics, matrix);
  metrics["confidence"] = mean_metric(confidences, "1");
  metrics["calibration_error"] =
      metric(stats::expected_calibration_error(confidences, correct), "1");
  return metrics;
}

}  // namespace

TaskResult run_sst2(engine::Model& model, const std::filesystem::path& file,
                    const TaskOptions& options) {
  const Samples samples = read_samples(model, file, options.limit);
  ItemLog log(samples.all.size(), options);
  const auto batch = static_cast<std::size_t>(std::max(1, options.batch));
  for (std::size_t begin = 0; begin < samples.all.size(); begin += batch) {
    base::check_interrupted();
    const std::size_t end = std::min(begin + batch, samples.all.size());
    if (log.is_done(begin, end)) continue;
    std::vector<engine::Sequence> sequences;
    for (std::size_t i = begin; i < end; ++i) sequences.push_back({samples.all[i].ids, 0});
    const auto logits = model.classify(sequences);
    for (std::size_t i = begin; i < end; ++i) {
      const std::span row(logits.row<float>(static_cast<std::int64_t>(i - begin)),
                          static_cast<std::size_t>(logits.cols));
      log.add(answer_of(i, samples.all[i], row));
    }
    log.flush();
    if (options.progress) options.progress("sst2", double(end) / double(samples.all.size()));
  }
  TaskResult result{.task = "sst2", .metrics = {}, .items = log.take(), .notes = Json::array()};
  result.metrics = metrics_of(result.items, static_cast<int>(model.config().labels.size()));
  log.add_notes(result.notes);
  if (samples.truncated > 0) {
    result.notes.push_back(
        fmt::format("{} of {} items are longer than the model's {} positions and "
                    "were cut at the end",
                    samples.truncated, samples.all.size(), model.config().max_positions));
  }
  return result;
}

}  // namespace assay::tasks
