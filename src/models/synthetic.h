#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/config.h"
#include "precision/synthetic.h"

namespace assay::models {

/// Shapes of published models that a synthetic one can have: "tinyllama-1.1b" and so on.
[[nodiscard]] std::vector<std::string> synthetic_names();
/// The config.json of that shape. Usage error with near names for others.
[[nodiscard]] Json synthetic_config(const std::string& like);

/// Columns of the hidden state that carry outliers.
inline constexpr int kOutlierColumns = 8;

/// Every tensor that a model of this config has, with random contents: weights deviate by a gain
/// over the square root of their width (by 0.007 to 0.04 for published widths), those that write to
/// the residual stream also by the root of its additions, as GPT-2 begins, so that activations stay
/// of ordinary size through any number of blocks.
///
/// `outliers`: eight hidden columns hold about 10 in front of every product, with a sign of their
/// own, for every token: token embeddings have a constant there which stands out of the residual
/// stream, norms bring it to that size (encoders: the norms' biases do). Rows of value, gate and up
/// (encoders: biases of value and up) that read those columns give the attention's output and the
/// MLP's inner state columns beyond 6 as well: eight in the MLP; in attention as many as the query
/// heads of a key-value head divide eight into. All other activations stay under 6.
///
/// Families of the known shapes only (llama, mistral, distilbert); internal error for others.
[[nodiscard]] std::vector<precision::SyntheticTensor> synthetic_tensors(const ModelConfig& config,
                                                                        std::uint64_t seed,
                                                                        bool outliers);

}  // namespace assay::models
