#pragma once

#include <filesystem>
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
};

/// sst2 and any labelled TSV: accuracy with Wilson interval and stderr, precision, recall, F1,
/// confusion matrix, mean confidence. Needs a classifier; labels outside the model's are bad_data.
[[nodiscard]] TaskResult run_sst2(engine::Model& model, const std::filesystem::path& file,
                                  const TaskOptions& options);

/// Windows of `context` tokens with `stride` (stride == context: disjoint windows; otherwise every
/// window after the first scores its last `stride` tokens, as Hugging Face's guide does).
/// Perplexity with standard error, bits per byte.
struct PerplexityOptions {
  int context = 512;
  int stride = 512;
};
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
/// From a text file: non-empty lines (encoders) or consecutive windows of `length` tokens
/// (decoders).
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

/// Decoders: KL(baseline || recipe) mean with stderr, median, p99, p99.9, max; top-1 agreement;
/// perplexity ratio on the sampled tokens. Encoders: cosine mean and minimum, logit error, flips.
[[nodiscard]] TaskResult run_fidelity(engine::Model& model, const FidelityInputs& inputs,
                                      BaselineOutputs& baseline, const TaskOptions& options);

}  // namespace assay::tasks
