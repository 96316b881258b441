#include <algorithm>
#include <set>

#include "base/io.h"
#include "models/family.h"
#include "models/weight_names.h"

namespace assay::models {
namespace {

using files::StoredTensor;
using files::TensorFile;

constexpr std::string_view kIndex = "{i}";

bool in_block(const RoleSpec& role) { return role.role.find(kIndex) != std::string_view::npos; }

std::string indexed(std::string_view pattern, std::int64_t block) {
  std::string name(pattern);
  const std::size_t at = name.find(kIndex);
  if (at != std::string::npos) name.replace(at, kIndex.size(), std::to_string(block));
  return name;
}

bool present(Presence presence, const ModelConfig& config, std::int64_t block) {
  switch (presence) {
    case Presence::always:
      return true;
    case Presence::classifier:
      return config.head == HeadKind::classifier;
    case Presence::language_model:
      return config.head == HeadKind::language_model;
    case Presence::token_types:
      return config.token_types > 0;
    case Presence::head_norms:
      return config.head_norms;
    case Presence::but_first_block:
      return block > 0;
  }
  return false;
}

bool wants_bias(BiasRule rule, const ModelConfig& config) {
  switch (rule) {
    case BiasRule::none:
      return false;
    case BiasRule::required:
      return true;
    case BiasRule::by_attention:
      return config.attention_bias;
    case BiasRule::by_output:
      return config.output_bias;
    case BiasRule::by_mlp:
      return config.mlp_bias;
  }
  return false;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const std::int64_t n : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(n);
  return text + "]";
}

/// Calls add(role, block) for each weight of a family in the order of execution; block -1 is
/// outside.
template <typename Add>
void for_each_weight(const Family& family, const ModelConfig& config, const Add& add) {
  const auto& roles = family.roles;
  const auto first = std::find_if(roles.begin(), roles.end(), in_block);
  const auto last = std::find_if(roles.rbegin(), roles.rend(), in_block).base();
  const auto add_if = [&](const RoleSpec& role, std::int64_t block) {
    if (present(role.presence, config, block)) add(role, block);
  };
  std::for_each(roles.begin(), first, [&](const RoleSpec& role) { add_if(role, -1); });
  for (std::int64_t block = 0; block < config.blocks; ++block) {
    std::for_each(first, last, [&](const RoleSpec& role) { add_if(role, block); });
  }
  std::for_each(last, roles.end(), [&](const RoleSpec& role) { add_if(role, -1); });
}

/// Whether the modules of the config's architecture carry the backbone's prefix.
bool is_prefixed(const Family& family, const ModelConfig& config) {
  return std::any_of(family.architectures.begin(), family.architectures.end(),
                     [&](const Architecture& architecture) {
                       return architecture.name == config.architecture && architecture.prefixed;
                     });
}

class Mapper {
 public:
  Mapper(const ModelConfig& config, const TensorFile& file)
      : config_(config),
        file_(file),
        family_(*find_family(config.family)),
        prefixed_(is_prefixed(family_, config)) {}

  WeightMap map() {
    for_each_weight(family_, config_,
                    [this](const RoleSpec& role, std::int64_t block) { add(role, block); });
    if (gguf() && !config_.rope.divisors.empty()) used_.insert("rope_freqs.weight");
    note_unused();
    return std::move(map_);
  }

 private:
  bool gguf() const { return file_.format() == "gguf"; }

  bool is_fused(const RoleSpec& role) const {
    return !role.fused_rows.empty() && !(gguf() && role.fused_gguf.empty());
  }

  /// Names that the module may have in this file, the likeliest first.
  std::vector<std::string> stored_names(const RoleSpec& role, std::int64_t block) const {
    const bool fused = is_fused(role);
    if (gguf()) return {indexed(fused ? role.fused_gguf : role.gguf, block)};
    const std::string name = indexed(fused ? role.fused_name : role.name, block);
    if (!role.backbone) return {name};
    const std::string prefixed = std::string(family_.prefix) + name;
    return prefixed_ ? std::vector{prefixed, name} : std::vector{name, prefixed};
  }

  const StoredTensor* first_of(const std::vector<std::string>& names, std::string_view suffix,
                               std::string_view older) const {
    for (const std::string& name : names) {
      for (const std::string_view end : {suffix, older}) {
        if (const StoredTensor* tensor = file_.find(name + std::string(end))) return tensor;
      }
    }
    return nullptr;
  }

  /// `suffix` may have an older name: LayerNorm's gamma and beta.
  const StoredTensor& find(const std::vector<std::string>& names, std::string_view suffix,
                           std::string_view older, const std::vector<std::int64_t>& shape) {
    if (const StoredTensor* tensor = first_of(names, suffix, older)) {
      check(*tensor, shape);
      used_.insert(tensor->name);
      return *tensor;
    }
    fail(ErrorCode::bad_data, "{}: tensor '{}{}' is missing, which {} needs", file_.path().string(),
         names.front(), suffix, config_.architecture);
  }

  void check(const StoredTensor& tensor, const std::vector<std::int64_t>& shape) const {
    if (tensor.shape != shape) {
      fail(ErrorCode::bad_data, "{}: tensor '{}' has shape {}, the config says {}",
           file_.path().string(), base::printable(tensor.name), shape_text(tensor.shape),
           shape_text(shape));
    }
    const bool vector = shape.size() == 1;
    if (!tensor.is_weight || (vector && precision::info(tensor.encoding).quantized)) {
      fail(ErrorCode::bad_data, "{}: tensor '{}' is {}, which cannot be a {}",
           file_.path().string(), base::printable(tensor.name), tensor.type,
           vector ? "norm or bias" : "weight matrix");
    }
  }

  std::string canonical(const RoleSpec& role, std::int64_t block) const {
    const std::string name = indexed(role.name, block);
    return role.backbone && prefixed_ ? std::string(family_.prefix) + name : name;
  }

  /// Which rows of the module are the layer's.
  void take_part(const RoleSpec& role, WeightSpec& spec) const {
    for (std::size_t part = 0; part < role.fused_rows.size(); ++part) {
      const std::int64_t size = extent(role.fused_rows[part], config_);
      if (part < role.fused_part) spec.first_row += size;
      spec.all_rows += size;
    }
    if (!role.fused_by_turns) return;
    spec.first_row = static_cast<std::int64_t>(role.fused_part);
    spec.row_step = std::ssize(role.fused_rows);
  }

  /// The shape of the stored tensor, where experts have one each.
  static std::vector<std::int64_t> stacked(const WeightSpec& spec,
                                           std::vector<std::int64_t> shape) {
    if (spec.experts > 0) shape.insert(shape.begin(), spec.experts);
    return shape;
  }

  void add(const RoleSpec& role, std::int64_t block) {
    WeightSpec spec;
    spec.role = indexed(role.role, block);
    spec.name = canonical(role, block);
    spec.matrix = role.kind != RoleKind::vector;
    spec.interleaved_rows = role.interleaved && family_.gguf_interleaved && gguf();
    spec.transposed = role.transposed && !gguf();
    spec.experts = role.experts ? config_.experts.count : 0;
    if (is_fused(role)) take_part(role, spec);
    const std::vector<std::string> names = stored_names(role, block);
    const bool bare = role.bare && !gguf();
    if (wants_bias(role.bias, config_)) {
      const std::int64_t rows = spec.all_rows > 0 ? spec.all_rows : extent(role.rows, config_);
      spec.bias = find(names, bare ? "_bias" : ".bias", ".beta", stacked(spec, {rows})).name;
    }
    const std::string_view suffix = bare ? "" : ".weight";
    if (spec.matrix) {
      add_layer(role, block, names, suffix, spec);
    } else {
      spec.stored = find(names, suffix, ".gamma", {extent(role.rows, config_)}).name;
      spec.name += suffix;
      if (config_.norm_offset) spec.offset = 1.0F;
    }
    map_.weights.push_back(std::move(spec));
  }

  void add_layer(const RoleSpec& role, std::int64_t block, const std::vector<std::string>& names,
                 std::string_view suffix, WeightSpec& spec) {
    precision::LayerInfo& layer = spec.layer;
    layer.name = spec.name;
    layer.layer_class = role.layer_class;
    layer.block = static_cast<int>(block);
    layer.rows = extent(role.rows, config_);
    layer.cols = extent(role.cols, config_);
    layer.lookup = role.kind == RoleKind::table;
    layer.quantizable = role.quantizable;
    if (config_.tied_head && role.presence == Presence::language_model) {
      const WeightSpec& table = map_.weights.front();  // the token embedding stands first
      spec.stored = table.stored;
      layer.tied_to = table.name;
      layer.source = table.layer.source;
      return;
    }
    const std::int64_t rows = spec.all_rows > 0 ? spec.all_rows : layer.rows;
    // Codes run along the depth: quantized checkpoints store output channels as rows in any family.
    const StoredTensor* there = first_of(names, suffix, suffix);
    if (there != nullptr && precision::info(there->encoding).quantized) spec.transposed = false;
    const std::vector<std::int64_t> shape =
        spec.transposed ? std::vector{layer.cols, rows} : std::vector{rows, layer.cols};
    const StoredTensor& tensor = find(names, suffix, suffix, stacked(spec, shape));
    spec.stored = tensor.name;
    layer.source = tensor.encoding;
  }

  void note_unused() {
    constexpr std::size_t kShown = 4;
    std::size_t count = 0;
    std::string names;
    for (const StoredTensor& tensor : file_.tensors()) {
      if (!tensor.is_weight || used_.contains(tensor.name)) continue;
      if (count++ < kShown) names += (names.empty() ? "" : ", ") + base::printable(tensor.name);
    }
    if (count == 0) return;
    if (count > kShown) names += fmt::format(" and {} more", count - kShown);
    map_.notices.push_back(fmt::format("{} {} of the file {} no part in {}: {}", count,
                                       count == 1 ? "tensor" : "tensors",
                                       count == 1 ? "has" : "have", config_.architecture, names));
  }

  const ModelConfig& config_;
  const TensorFile& file_;
  const Family& family_;
  bool prefixed_;
  std::set<std::string, std::less<>> used_;
  WeightMap map_;
};

}  // namespace

std::vector<NamedWeight> named_weights(const ModelConfig& config) {
  const Family& family = *find_family(config.family);
  const bool prefixed = is_prefixed(family, config);
  std::vector<NamedWeight> weights;
  for_each_weight(family, config, [&](const RoleSpec& role, std::int64_t block) {
    if (!role.fused_rows.empty() || role.transposed || role.experts || role.bare) {
      fail(ErrorCode::internal, "the tensors of {} are not those of its weights", config.family);
    }
    const bool tied = config.tied_head && role.presence == Presence::language_model;
    const std::string module =
        (role.backbone && prefixed ? std::string(family.prefix) : "") + indexed(role.name, block);
    const std::string id = indexed(role.role, block);
    const std::int64_t rows = extent(role.rows, config);
    std::vector<std::int64_t> shape = {rows};
    if (role.kind != RoleKind::vector) shape.push_back(extent(role.cols, config));
    if (!tied) weights.push_back({id, module + ".weight", std::move(shape), false});
    if (wants_bias(role.bias, config)) weights.push_back({id, module + ".bias", {rows}, true});
  });
  return weights;
}

WeightMap map_weights(const ModelConfig& config, const TensorFile& file) {
  return Mapper(config, file).map();
}

}  // namespace assay::models
