#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "files/tensor_file.h"
#include "models/config.h"
#include "precision/synthetic.h"

namespace assay::engine {

/// A random model of a published shape: there to be measured for speed and memory, not to be
/// scored.
struct SyntheticModel {
  std::string like;  ///< one of models::synthetic_names()
  std::uint64_t seed = 1;
  bool outliers = false;
};

/// "synthetic:llama-3-8b[:seed=N][:outliers]", in any order; none for texts that do not begin so.
/// Usage error for the rest of what is no such text.
[[nodiscard]] std::optional<SyntheticModel> parse_synthetic(const std::string& text);
/// The one text that means the model.
[[nodiscard]] std::string to_string(const SyntheticModel& model);
/// The model that a config.json says it was made as; none for others.
[[nodiscard]] std::optional<SyntheticModel> synthetic_of(const Json& config,
                                                         const std::string& source);

/// Its config.json, with what synthetic_of() reads.
[[nodiscard]] Json config_of(const SyntheticModel& model);
/// What its tensors are, without their elements.
using SyntheticTensors = std::vector<std::shared_ptr<const precision::SyntheticTensor>>;
[[nodiscard]] SyntheticTensors tensors_of(const SyntheticModel& model,
                                          const models::ModelConfig& config);
/// Its tensors, each made when it is asked for: nothing is held.
[[nodiscard]] files::TensorFile open_synthetic(const SyntheticModel& model,
                                               const SyntheticTensors& tensors);

struct WrittenModel {
  std::int64_t bytes = 0;
  int files = 0;
};
/// Writes it as a Hugging Face folder: config.json, and safetensors in bf16 in one file or, from
/// `shard_bytes` on, several with an index. One tensor at a time is in memory. Errors: usage where
/// the folder is not empty, io where it cannot be written or its disk has not the room.
[[nodiscard]] WrittenModel write_synthetic(const SyntheticModel& model,
                                           const std::filesystem::path& folder,
                                           const base::ProgressSink& progress,
                                           std::int64_t shard_bytes = 5'000'000'000);

}  // namespace assay::engine
