#include "models/family.h"

#include <array>

namespace assay::models {

// One line for each family, and its place in the list.
extern const Family kLlama, kMistral, kQwen2, kQwen3, kGemma2, kGemma3, kPhi3, kGpt2, kGptOss;
extern const Family kBert, kRoberta, kXlmRoberta, kDistilBert, kModernBert;

namespace {

constexpr std::array kFamilies = {&kLlama,   &kMistral,    &kQwen2,      &kQwen3,     &kGemma2,
                                  &kGemma3,  &kPhi3,       &kGpt2,       &kGptOss,    &kBert,
                                  &kRoberta, &kXlmRoberta, &kDistilBert, &kModernBert};

}  // namespace

std::span<const Family* const> all_families() { return kFamilies; }

const Family* find_family(std::string_view model_type) {
  for (const Family* family : kFamilies) {
    if (family->model_type == model_type) return family;
  }
  return nullptr;
}

const Family* find_gguf_family(std::string_view architecture) {
  for (const Family* family : kFamilies) {
    if (!family->gguf.empty() && family->gguf == architecture) return family;
  }
  return nullptr;
}

std::vector<std::string> family_names() {
  std::vector<std::string> names;
  names.reserve(kFamilies.size());
  for (const Family* family : kFamilies) names.emplace_back(family->model_type);
  return names;
}

std::int64_t extent(Extent e, const ModelConfig& config) {
  switch (e) {
    case Extent::hidden:
      return config.hidden;
    case Extent::vocabulary:
      return config.vocabulary;
    case Extent::positions:
      return config.max_positions + config.padding_id + 1;
    case Extent::token_types:
      return config.token_types;
    case Extent::intermediate:
      return config.intermediate;
    case Extent::query:
      return config.heads * config.head_dim;
    case Extent::key_value:
      return config.kv_heads * config.head_dim;
    case Extent::head:
      return config.head_dim;
    case Extent::heads:
      return config.heads;
    case Extent::experts:
      return config.experts.count;
    case Extent::labels:
      return static_cast<std::int64_t>(config.labels.size());
  }
  fail(ErrorCode::internal, "unknown extent");
}

}  // namespace assay::models
