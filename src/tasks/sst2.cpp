#include <cmath>

#include "files/table_file.h"
#include "stats/classification.h"
#include "stats/samples.h"
#include "tasks/task.h"

namespace assay::tasks {
namespace {

struct Answer {
  int predicted = 0;
  double confidence = 0.0;
};

/// Softmax's largest entry; the first of equals.
Answer answer_of(std::span<const float> logits) {
  const auto best = kernels::cpu::argmax(logits);
  const double total = kernels::cpu::log_sum_exp(logits);
  return {static_cast<int>(best), std::exp(double{logits[static_cast<std::size_t>(best)]} - total)};
}

std::vector<std::vector<engine::TokenId>> tokenize(const engine::ModelSource& source,
                                                   std::span<const files::LabelledText> texts) {
  const text::EncodeOptions options{.max_length =
                                        static_cast<std::size_t>(source.config().max_positions)};
  std::vector<std::vector<engine::TokenId>> ids;
  for (const auto& item : texts) ids.push_back(source.tokenizer().encode(item.text, options));
  return ids;
}

void check_labels(const engine::Model& model, std::span<const files::LabelledText> texts,
                  const std::filesystem::path& file) {
  if (model.config().head != models::HeadKind::classifier) {
    fail(ErrorCode::usage, "{} has no classification head; sst2 needs one", model.source().name());
  }
  const auto labels = static_cast<int>(model.config().labels.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (texts[i].label >= 0 && texts[i].label < labels) continue;
    fail(ErrorCode::bad_data, "{}: item {}: label {} is outside the model's {} labels",
         file.string(), i + 1, texts[i].label, labels);
  }
}

Json quantity(double value) { return {{"value", value}, {"unit", "1"}}; }

Json metrics_of(const stats::ConfusionMatrix& matrix) {
  const double n = double(matrix.total());
  const double accuracy = matrix.accuracy();
  const auto interval = stats::wilson_interval(matrix.correct(), matrix.total());
  Json metrics;
  metrics["acc"] = quantity(accuracy);
  metrics["acc"]["ci95"] = {interval.low, interval.high};
  // lm-eval's: standard deviation with n - 1, over sqrt(n).
  metrics["acc"]["stderr"] = n > 1 ? std::sqrt(accuracy * (1 - accuracy) / (n - 1)) : 0.0;
  metrics["acc"]["n"] = matrix.total();
  if (matrix.classes() == 2) {
    metrics["precision"] = quantity(matrix.precision());
    metrics["recall"] = quantity(matrix.recall());
    metrics["f1"] = quantity(matrix.f1());
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
  return metrics;
}

}  // namespace

TaskResult run_sst2(engine::Model& model, const std::filesystem::path& file,
                    const TaskOptions& options) {
  auto texts = files::read_labelled_tsv(file);
  if (options.limit > 0 && texts.size() > static_cast<std::size_t>(options.limit)) {
    texts.resize(static_cast<std::size_t>(options.limit));
  }
  check_labels(model, texts, file);
  const auto ids = tokenize(model.source(), texts);
  TaskResult result{.task = "sst2"};
  stats::ConfusionMatrix matrix(static_cast<int>(model.config().labels.size()));
  double confidence = 0.0;
  const auto batch = static_cast<std::size_t>(std::max(1, options.batch));
  for (std::size_t begin = 0; begin < ids.size(); begin += batch) {
    base::check_interrupted();
    std::vector<engine::Sequence> sequences;
    for (std::size_t i = begin; i < std::min(begin + batch, ids.size()); ++i) {
      sequences.push_back({ids[i], 0});
    }
    const auto logits = model.classify(sequences);
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      const std::span row(logits.row<float>(static_cast<std::int64_t>(i)),
                          static_cast<std::size_t>(logits.cols));
      const Answer answer = answer_of(row);
      matrix.add(texts[begin + i].label, answer.predicted);
      confidence += answer.confidence;
      result.items.push_back({{"label", texts[begin + i].label},
                              {"predicted", answer.predicted},
                              {"confidence", answer.confidence}});
    }
    if (options.progress) options.progress("sst2", double(matrix.total()) / double(ids.size()));
  }
  result.metrics = metrics_of(matrix);
  result.metrics["confidence"] = {{"value", confidence / double(ids.size())}, {"unit", "1"}};
  return result;
}

}  // namespace assay::tasks
