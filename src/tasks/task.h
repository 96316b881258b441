#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "engine/model.h"

namespace assay::tasks {

/// What a task gives: metrics by the names of design.md section 8, and every item's answer, because
/// paired statistics need them.
struct TaskResult {
  std::string task;
  Json metrics;
  Json items;  ///< array, one small object per item
  Json notes;  ///< array of texts that belong in the row
};

struct TaskOptions {
  int limit = 0;  ///< 0: all
  int batch = 8;
  base::ProgressSink progress;
  /// Hears answers as they are found, in parts; each has its index "i".
  std::function<void(const Json&)> items;
  /// Answers of an earlier run of the very same task that was interrupted; array.
  Json resume = Json::array();
};

/// sst2 and any labelled classification (files/table_file.h says what is read): accuracy with
/// Wilson interval and stderr; precision, recall and F1 of class 1 where there are two classes,
/// macro and weighted; confusion matrix, mean confidence, calibration error in 15 bins. Needs a
/// classifier; labels outside the model's are bad_data.
[[nodiscard]] TaskResult run_sst2(engine::Model& model, const std::filesystem::path& file,
                                  const TaskOptions& options);

/// Whose way of cutting a text into windows. huggingface: the guide "Perplexity of fixed-length
/// models": a window of `context` tokens every `stride` tokens, each scoring what is new in it.
/// llama_cpp: llama-perplexity: disjoint windows of `context`, of which the second half is scored;
/// what does not fill a window is left out, and where the tokenizer adds BOS it takes the place of
/// each window's first token.
enum class PerplexityProcedure { huggingface, llama_cpp };
/// "huggingface" or "llama.cpp"; usage error otherwise.
[[nodiscard]] PerplexityProcedure perplexity_procedure(const std::string& name);

struct PerplexityOptions {
  PerplexityProcedure procedure = PerplexityProcedure::huggingface;
  int context = 512;
  int stride = 512;  ///< huggingface only
};
/// Perplexity with standard error, bits per byte. An item is a window.
[[nodiscard]] TaskResult run_perplexity(engine::Model& model, const std::filesystem::path& file,
                                        const PerplexityOptions& window,
                                        const TaskOptions& options);

/// Inputs of a fidelity run: token sequences, and where they came from ("16 x 64 tokens sampled
/// from bf16 (from q4_1) at temperature 1, seed 1", "32 built-in sentences", a file).
struct FidelityInputs {
  std::vector<std::vector<engine::TokenId>> sequences;
  std::string origin;
};

/// Sampled from `baseline` for decoders; built-in sentences for encoders.
[[nodiscard]] FidelityInputs default_fidelity_inputs(engine::Model& baseline, int sequences,
                                                     int length, std::uint64_t seed);
/// From a data file, as engine::read_samples reads it.
[[nodiscard]] FidelityInputs fidelity_inputs_from_text(const engine::ModelSource& source,
                                                       const std::filesystem::path& file,
                                                       int sequences, int length);

/// The baseline's outputs, one vector after another, in the order of the inputs: for decoders the
/// logits at every position but the last of each sequence, for encoders one output (class logits or
/// normalized embedding) per sequence. Read from another process, so that memory stays its own.
class BaselineOutputs {
 public:
  virtual ~BaselineOutputs() = default;
  /// Next vector; valid until the next call. Throws when the baseline failed.
  [[nodiscard]] virtual std::span<const float> next() = 0;
};

/// Produces what BaselineOutputs reads, in order.
void stream_outputs(engine::Model& model, const FidelityInputs& inputs,
                    const std::function<void(std::span<const float>)>& write);

/// Decoders: KL(baseline || recipe) mean with stderr and interval, median, p99, p99.9, max; top-1
/// agreement; mean and RMS change of the probability of the token that follows; on these tokens the
/// perplexity of both, its ratio with stderr, and the correlation of their log-probabilities.
/// Encoders: cosine of the outputs (mean, minimum) and their largest error. Classifiers also: KL of
/// the distribution over labels with interval, agreement on the label with Wilson interval, label
/// flips.
[[nodiscard]] TaskResult run_fidelity(engine::Model& model, const FidelityInputs& inputs,
                                      BaselineOutputs& baseline, const TaskOptions& options);

/// Why answers of the model say nothing ("its weights are random"); empty for real models.
[[nodiscard]] std::string reason_not_scored(const engine::ModelSource& source);
/// Unsupported with that reason.
void require_scorable(const engine::ModelSource& source);

}  // namespace assay::tasks
