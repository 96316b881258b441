#include <algorithm>
#include <map>

#include "base/io.h"
#include "precision/match.h"
#include "precision/recipe_detail.h"

namespace assay::precision {
namespace {

using tensor::DType;

constexpr int kByDefault = -1;
constexpr int kKept = -2;  ///< in 16 bit, beside a quantized default

/// One recipe being resolved against one model. `owner[i]` says what decided about layer i: the
/// index of a rule, kByDefault or kKept.
class Resolver {
 public:
  Resolver(const Recipe& recipe, std::span<const LayerInfo> model, DType sixteen_bit)
      : recipe_(recipe),
        model_(model),
        sixteen_(own_sixteen_bit(recipe).value_or(sixteen_bit)),
        owner_(model.size(), kByDefault) {
    for (const LayerInfo& layer : model) blocks_ = std::max(blocks_, layer.block + 1);
  }

  Assignment run() {
    result_.notices = recipe_.notices;
    keep_unquantized();
    skip_modules();
    for (std::size_t i = 0; i < recipe_.rules.size(); ++i) apply_rule(static_cast<int>(i));
    unite_tied();
    check_something_is_quantized();
    note_rules_without_layers();
    for (std::size_t i = 0; i < model_.size(); ++i) result_.layers.push_back(resolve(i));
    result_.activations = recipe_.activations.value_or(own_activation());
    result_.kv = recipe_.kv.value_or(result_.activations);
    return std::move(result_);
  }

 private:
  [[nodiscard]] const Precision& precision_of(std::size_t layer) const {
    const int owner = owner_[layer];
    return owner < 0 ? recipe_.default_precision
                     : recipe_.rules[static_cast<std::size_t>(owner)].precision;
  }
  [[nodiscard]] bool quantized(std::size_t layer) const {
    return owner_[layer] != kKept && precision_of(layer).quantized;
  }
  [[nodiscard]] bool default_requantizes() const {
    return recipe_.default_precision.quantized && recipe_.default_precision.weight.has_value();
  }
  [[nodiscard]] std::string rule_name(int rule) const {
    const Rule& r = recipe_.rules[static_cast<std::size_t>(rule)];
    return fmt::format(
        "recipe '{}' rule {} ({})", base::printable(recipe_.name), rule + 1,
        base::printable(r.layers.empty() ? "match: " + r.match : "layers: " + r.layers));
  }

  static bool kept_by_default(const LayerInfo& layer) {
    return !layer.quantizable || layer.layer_class == LayerClass::embeddings ||
           layer.layer_class == LayerClass::head;
  }

  void keep_unquantized() {
    if (!default_requantizes()) return;
    for (std::size_t i = 0; i < model_.size(); ++i) {
      if (kept_by_default(model_[i])) owner_[i] = kKept;
    }
  }

  void skip_modules() {
    if (recipe_.skip_modules.empty()) return;
    std::vector<bool> skipped(model_.size(), false);
    for (const std::string& name : recipe_.skip_modules) {
      const SkipPattern pattern(name, "llm_int8_skip_modules");
      bool found = false;
      for (std::size_t i = 0; i < model_.size(); ++i) {
        if (!pattern.matches(model_[i].name)) continue;
        found = skipped[i] = true;
        owner_[i] = kKept;
      }
      if (!found) {
        result_.notices.push_back(fmt::format(
            "llm_int8_skip_modules: '{}' matches no layer of the model", base::printable(name)));
      }
    }
    for (std::size_t i = 0; i < model_.size(); ++i) {
      const bool differs = kept_by_default(model_[i]) && !model_[i].lookup && !skipped[i];
      if (!differs) continue;
      result_.notices.push_back(
          fmt::format("llm_int8_skip_modules does not name '{}': transformers would quantize it, "
                      "here it stays in {}",
                      base::printable(model_[i].name), tensor::name_of(sixteen_)));
    }
  }

  void apply_rule(int index) {
    const Rule& rule = recipe_.rules[static_cast<std::size_t>(index)];
    std::vector<std::size_t> matched;
    if (rule.layers.empty()) {
      const NamePattern pattern(rule.match, rule_name(index));
      for (std::size_t i = 0; i < model_.size(); ++i) {
        if (pattern.matches(model_[i])) matched.push_back(i);
      }
      if (matched.empty()) fail_no_match(rule.match, model_, rule_name(index));
    } else {
      const BlockSet set = BlockSet::parse(rule.layers, rule_name(index));
      const auto chosen = set.resolve(blocks_, rule_name(index), result_.notices);
      for (std::size_t i = 0; i < model_.size(); ++i) {
        const int block = model_[i].block;
        if (block >= 0 && chosen[static_cast<std::size_t>(block)]) matched.push_back(i);
      }
      if (matched.empty()) {
        fail(ErrorCode::usage, "{} matches no layer: the model has {} blocks, numbered from 0",
             rule_name(index), blocks_);
      }
    }
    for (const std::size_t i : matched) owner_[i] = index;
  }

  /// Layers that share a weight get the same precision: that of the one which a rule names.
  void unite_tied() {
    for (std::size_t i = 0; i < model_.size(); ++i) {
      if (model_[i].tied_to.empty()) continue;
      const auto other = std::find_if(model_.begin(), model_.end(), [&](const LayerInfo& l) {
        return l.name == model_[i].tied_to;
      });
      if (other == model_.end()) continue;
      const auto j = static_cast<std::size_t>(other - model_.begin());
      if (owner_[i] == owner_[j]) continue;
      unite(i, j);
    }
  }

  void unite(std::size_t a, std::size_t b) {
    const bool by_rule_a = owner_[a] >= 0;
    const bool by_rule_b = owner_[b] >= 0;
    if (by_rule_a && by_rule_b) {
      if (same_weight(precision_of(a), precision_of(b))) return;
      fail(ErrorCode::usage, "recipe '{}': '{}' and '{}' share one weight but get {} and {}",
           base::printable(recipe_.name), base::printable(model_[a].name),
           base::printable(model_[b].name), precision_of(a).name, precision_of(b).name);
    }
    const std::size_t from = by_rule_a ? a : b;
    const std::size_t to = by_rule_a ? b : a;
    owner_[to] = owner_[from];
    result_.notices.push_back(fmt::format("'{}' shares its weight with '{}' and follows it: {}",
                                          base::printable(model_[to].name),
                                          base::printable(model_[from].name), resolve(to).name));
  }

  static bool same_weight(const Precision& a, const Precision& b) {
    return a.weight == b.weight && a.double_quant == b.double_quant;
  }

  /// A quantized default must end inside of the blocks, where there are blocks; without one, some
  /// rule's precision must end somewhere.
  void check_something_is_quantized() const {
    const bool by_rule = std::any_of(recipe_.rules.begin(), recipe_.rules.end(), [](const Rule& r) {
      return r.precision.quantized && r.precision.weight.has_value();
    });
    if (!default_requantizes() && !by_rule) return;
    for (std::size_t i = 0; i < model_.size(); ++i) {
      const bool counts =
          !default_requantizes() || blocks_ == 0 || model_[i].block >= 0 || owner_[i] >= 0;
      if (counts && quantized(i)) return;
    }
    fail(
        ErrorCode::usage,
        "recipe '{}' quantizes no layer: every one of the model's {} blocks is given 16 or 32 bits",
        base::printable(recipe_.name), blocks_);
  }

  void note_rules_without_layers() {
    for (std::size_t r = 0; r < recipe_.rules.size(); ++r) {
      const auto index = static_cast<int>(r);
      if (std::find(owner_.begin(), owner_.end(), index) != owner_.end()) continue;
      result_.notices.push_back(rule_name(index) +
                                " has no effect: later rules decide about all "
                                "of its layers");
    }
  }

  /// fp32, fp16 or bf16 for a stored float; else the 16-bit type.
  [[nodiscard]] DType stored_type(Encoding source) const {
    if (info(source).quantized) return sixteen_;
    return source == Encoding::f32   ? DType::f32
           : source == Encoding::f16 ? DType::f16
                                     : DType::bf16;
  }

  [[nodiscard]] Precision resolve(std::size_t i) const {
    if (owner_[i] == kKept) return plain_precision(sixteen_);
    Precision precision = precision_of(i);
    if (!precision.weight) precision = as_stored(i, precision);
    follow_stored_scales(i, precision);
    if (!precision.compute) precision.compute = sixteen_;
    follow_as_lookup(i, precision);
    return precision;
  }

  /// What a checkpoint says that the layer does, or its encoding with plain activations. The
  /// recipe's own compute type goes before.
  [[nodiscard]] Precision as_stored(std::size_t i, const Precision& recipe) const {
    const LayerInfo& layer = model_[i];
    Precision precision = layer.stored.value_or(recipe);
    precision.name = recipe.name;
    precision.weight = layer.source;
    precision.quantized = info(layer.source).quantized;
    if (recipe.compute) precision.compute = recipe.compute;
    if (!precision.compute) precision.compute = stored_type(layer.source);
    return precision;
  }

  /// Codes that are stored in the wanted encoding are kept, and with them the form of their scales.
  void follow_stored_scales(std::size_t i, Precision& precision) const {
    const LayerInfo& layer = model_[i];
    if (!layer.stored || precision.weight != layer.source) return;
    precision.double_quant = layer.stored->double_quant;
  }

  /// A table that follows a tied head in int8 has no activations to quantize.
  void follow_as_lookup(std::size_t i, Precision& precision) const {
    const bool follows = model_[i].lookup && owner_[i] >= 0 && !matched_itself(i);
    if (!follows || !precision.quantized || precision.activation == Activation::native) return;
    precision.name += "-weight-only";
    precision.activation = Activation::native;
    precision.threshold = 0.0F;
    precision.calibrated_outliers = false;
  }
  [[nodiscard]] bool matched_itself(std::size_t i) const {
    const Rule& rule = recipe_.rules[static_cast<std::size_t>(owner_[i])];
    return !rule.layers.empty() || NamePattern(rule.match, "rule").matches(model_[i]);
  }

  /// Type of the residual stream where the recipe does not say it.
  [[nodiscard]] DType own_activation() const {
    const Precision& base = recipe_.default_precision;
    if (!base.quantized) return tensor::held_as(base.compute.value_or(sixteen_));
    if (base.weight) return sixteen_;
    // `stored`: beside quantized weights the 16-bit type, else the widest that the file holds.
    std::optional<DType> type;
    for (const LayerInfo& layer : model_) {
      if (info(layer.source).quantized) return sixteen_;
      const DType own = stored_type(layer.source);
      type = !type || *type == own ? own : DType::f32;
    }
    return type.value_or(sixteen_);
  }

  const Recipe& recipe_;
  std::span<const LayerInfo> model_;
  DType sixteen_;
  int blocks_ = 0;
  std::vector<int> owner_;
  Assignment result_;
};

}  // namespace

Assignment assign(const Recipe& recipe, std::span<const LayerInfo> model, DType sixteen_bit) {
  return Resolver(recipe, model, sixteen_bit).run();
}

}  // namespace assay::precision
