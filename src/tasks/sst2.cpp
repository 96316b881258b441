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
  std::vector<int> expected;
  std::vector<int> predicted;
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
      expected.push_back(texts[begin + i].label);
      predicted.push_back(answer.predicted);
      confidence += answer.confidence;
      result.items.push_back({{"label", expected.back()},
                              {"predicted", answer.predicted},
                              {"confidence", answer.confidence}});
    }
    if (options.progress) options.progress("sst2", double(expected.size()) / double(ids.size()));
  }
  result.metrics =
      classification_metrics(expected, predicted, static_cast<int>(model.config().labels.size()));
  result.metrics["confidence"] = {{"value", confidence / double(ids.size())}, {"unit", "1"}};
  return result;
}

}  // namespace assay::tasks
