#pragma once

#include <cstdint>
#include <string>

#include "models/config.h"
#include "models/family.h"

namespace assay::models {

// Largest sizes that a config may claim. Far above any real model, small enough that the product of
// any two fits 64 bits many times over. Tensors are checked against the file as well.
inline constexpr std::int64_t kMaxVocabulary = std::int64_t{1} << 24;
inline constexpr std::int64_t kMaxWidth = std::int64_t{1} << 17;
inline constexpr std::int64_t kMaxIntermediate = std::int64_t{1} << 20;
inline constexpr std::int64_t kMaxBlocks = 4096;
inline constexpr std::int64_t kMaxPositions = std::int64_t{1} << 26;
inline constexpr std::int64_t kMaxLabels = 100000;
inline constexpr std::int64_t kMaxExperts = 4096;

/// The fields that a family fixes.
void apply_family(const Family& family, ModelConfig& config);
/// Fills head_dim where it is 0, what follows from it where a config says nothing else, and checks
/// that heads, widths and key/value heads fit each other.
void check_heads(const std::string& source, ModelConfig& config);

/// embedding_scale of families that have one, after the sizes.
void scale_embedding(const Family& family, ModelConfig& config);

}  // namespace assay::models
