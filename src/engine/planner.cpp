#include "engine/planner.h"

#include <algorithm>

#include "engine/layer_problem.h"
#include "kernels/cuda/elementwise.h"
#include "models/transformer.h"

namespace assay::engine {
namespace {

using precision::Encoding;
using precision::PlanEntry;
using precision::Precision;
using tensor::Device;
using tensor::DeviceKind;
using tensor::DType;

/// Positions for which `auto` keeps room in the cache of a decoder.
constexpr std::int64_t kPlannedPositions = 4096;

/// Empty when the weights can be brought into the encoding.
std::string encoding_reason(const precision::LayerInfo& layer, Encoding wanted) {
  const precision::EncodingInfo& info = precision::info(wanted);
  if (wanted != layer.source && info.encode == nullptr) {
    return fmt::format("no encoder for {} from {}: it only runs as stored", info.name,
                       display_name(layer.source));
  }
  try {
    (void)info.code_bytes(layer.rows, layer.cols);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

DType sixteen_bit_of(const DeviceInfo& device) {
  return device.has_bf16() ? DType::bf16 : DType::f16;
}

/// One plan in the making.
class Planner {
 public:
  Planner(const ModelSource& model, const precision::Recipe& recipe, const PlanOptions& options)
      : model_(model),
        recipe_(recipe),
        options_(options),
        there_(options.devices != nullptr ? *options.devices : kernels::cuda::devices()),
        layers_(model.layers()) {}

  precision::Plan run() {
    choose_devices();
    precision::Assignment assignment = precision::assign(recipe_, layers_, sixteen_bit());
    plan_.recipe_canonical = recipe_.canonical();
    plan_.source = model_.source_name();
    plan_.source_quantized = precision::info(model_.dominant_encoding()).quantized;
    plan_.activations = assignment.activations;
    plan_.kv = assignment.kv;
    plan_.notices = std::move(assignment.notices);
    plan_.notices.insert(plan_.notices.end(), model_.weights().notices.begin(),
                         model_.weights().notices.end());
    place(assignment);
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      plan_.entries.push_back(plan_layer(layers_[i], std::move(assignment.layers[i])));
      calibrate(plan_.entries.back());
    }
    if (recipe_.needs_calibration() && options_.calibration != nullptr) {
      plan_.calibration = options_.calibration->summary();
    }
    plan_.recipe = row_name();
    mark_fallback();
    return std::move(plan_);
  }

 private:
  [[nodiscard]] const DeviceInfo& info(Device device) const {
    return *std::ranges::find(there_, device.index, &DeviceInfo::index);
  }

  /// What the calibration says about a layer that asks for it; a reason if it says nothing.
  void calibrate(PlanEntry& entry) const {
    if (!entry.precision.needs_calibration() || !entry.reason.empty()) return;
    if (!recipe_.calibration) {
      entry.reason =
          "needs calibration data: add `calibration: FILE` (text or pre-tokenized) to the recipe";
      return;
    }
    if (options_.calibration == nullptr) return;
    const precision::LayerCalibration* seen = options_.calibration->find(entry.layer.name);
    if (seen == nullptr || std::ssize(seen->column_absmax) != entry.layer.cols) {
      entry.reason = "the calibration data never reached this layer";
      return;
    }
    if (entry.precision.calibrated_outliers) {
      entry.outliers = seen->columns_reaching(entry.precision.threshold);
    }
    if (entry.precision.activation == precision::Activation::int8_static) set_range(entry, *seen);
  }

  static void set_range(PlanEntry& entry, const precision::LayerCalibration& seen) {
    const double percentile = entry.precision.percentile;
    float range = seen.absmax();
    if (percentile < 100.0) {
      range = std::min(range, static_cast<float>(seen.magnitudes.percentile(percentile)));
    }
    if (range > 0.0F) {
      entry.activation_range = range;
    } else {
      entry.reason = "the calibration data gave this layer nothing but zeros";
    }
  }

  void choose_devices() {
    const std::string& missing = kernels::cuda::unavailable();
    if (options_.fallback && names_cuda(options_.device) && there_.empty()) {
      elsewhere_ = fmt::format("{}: {}", options_.device, missing);
      return;
    }
    const DeviceChoice choice = choose_device(options_.device, there_, missing);
    automatic_ = choice.automatic;
    plan_.device = choice.device;
    const bool mixture = model_.config().experts.count > 0;
    if (plan_.device.kind == DeviceKind::cpu || !mixture) return;
    // A router's choice is read on the host.
    if (automatic_ || options_.fallback) {
      if (!automatic_) elsewhere_ = fmt::format("{}: {}", options_.device, kMixture);
      if (automatic_) plan_.notices.push_back(kMixture);
      automatic_ = false;
      plan_.device = {};
    } else {
      unsupported_ = kMixture;
    }
  }

  [[nodiscard]] DType sixteen_bit() const {
    if (plan_.device.kind == DeviceKind::cpu) return DType::bf16;
    if (!automatic_) return sixteen_bit_of(info(plan_.device));
    const bool all = std::ranges::all_of(
        there_, [](const DeviceInfo& d) { return sixteen_bit_of(d) == DType::bf16; });
    return all ? DType::bf16 : DType::f16;
  }

  void place(const precision::Assignment& assignment) {
    const models::ModelConfig& config = model_.config();
    plan_.blocks.assign(static_cast<std::size_t>(config.blocks), plan_.device);
    if (!automatic_) return;
    PartBytes bytes;
    bytes.blocks.assign(plan_.blocks.size(), cache_bytes());
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const std::int64_t size = layer_bytes(layers_[i], assignment.layers[i]);
      if (layers_[i].block >= 0) {
        bytes.blocks[static_cast<std::size_t>(layers_[i].block)] += size;
      } else {
        (layers_[i].lookup ? bytes.before : bytes.behind) += size;
      }
    }
    std::vector<std::int64_t> budgets;
    for (const DeviceInfo& device : there_) budgets.push_back(memory_budget(device));
    plan_.blocks = place_blocks(bytes, budgets);
    for (Device& device : plan_.blocks) {  // numbers of the list -> of the devices
      if (device.kind == DeviceKind::cuda) {
        device.index = there_[static_cast<std::size_t>(device.index)].index;
      }
    }
    plan_.device = plan_.blocks.front();
  }

  [[nodiscard]] std::int64_t cache_bytes() const {
    const models::ModelConfig& config = model_.config();
    if (!config.causal) return 0;
    const std::int64_t positions = std::min(config.max_positions, kPlannedPositions);
    return positions * models::kv_position_bytes(config, plan_.kv);
  }

  [[nodiscard]] Device device_of(const precision::LayerInfo& layer) const {
    if (layer.block >= 0) return plan_.device_of_block(layer.block);
    return plan_.device_of_block(layer.lookup ? 0 : model_.config().blocks);
  }

  [[nodiscard]] ops::LinearChoice choose(const kernels::cpu::LinearProblem& problem,
                                         Device device) const {
    return device.kind == DeviceKind::cpu ? ops::choose_linear(problem)
                                          : ops::choose_linear(problem, info(device));
  }

  /// Why the attention that a layer belongs to cannot run on its block's device; empty if it can.
  [[nodiscard]] std::string attention_reason(const precision::LayerInfo& layer,
                                             Device device) const {
    if (device.kind == DeviceKind::cpu || layer.block < 0) return {};
    const models::ModelConfig& config = model_.config();
    const std::int64_t width = config.heads * config.head_dim;
    const tensor::MatrixView q{nullptr, plan_.activations, 1, width, width, device};
    const auto block = static_cast<std::size_t>(layer.block);
    std::string why;
    const bool supported = kernels::cuda::attention_supports(
        {.q = q,
         .out = q,
         .cache = {.type = config.causal ? plan_.kv : plan_.activations},
         .cached = config.causal,
         .heads = config.heads,
         .kv_heads = config.kv_heads,
         .head_dim = config.head_dim,
         .soft_cap = config.attention_soft_cap,
         .causal = config.causal,
         .window = config.windows.empty() ? 0 : config.windows[block]},
        info(device), &why);
    return supported ? std::string() : "no CUDA attention: " + why;
  }

  PlanEntry plan_layer(const precision::LayerInfo& layer, Precision precision) {
    PlanEntry entry{.layer = layer, .precision = std::move(precision), .kernel = {}, .reason = {}};
    entry.device = device_of(layer);
    entry.fallback = !elsewhere_.empty();
    const auto problem = problem_of(layer, entry.precision);
    entry.reason = encoding_reason(layer, problem.encoding);
    if (entry.reason.empty() && layer.lookup && entry.precision.quantized &&
        entry.precision.activation != precision::Activation::native) {
      entry.reason =
          "a table that is looked up has no activations to quantize; use int8-weight-only";
    }
    if (entry.reason.empty()) entry.reason = unsupported_;
    if (entry.reason.empty() && layer.layer_class == precision::LayerClass::attention) {
      entry.reason = attention_reason(layer, plan_.device_of_block(layer.block));
    }
    if (!entry.reason.empty()) return entry;
    ops::LinearChoice choice = choose(problem, entry.device);
    if (!choice.kernel && options_.fallback && entry.device.kind == DeviceKind::cuda) {
      const std::string why = choice.reason;
      choice = choose(problem, {});
      if (choice.kernel) {
        entry.device = {};
        entry.fallback = true;
        if (fallen_++ == 0) first_fallen_ = layer.name + ": " + why;
      }
    }
    if (!choice.kernel) {
      entry.reason = choice.reason;
    } else {
      entry.kernel = layer.lookup ? choice.kernel.lookup_identity() : choice.kernel.identity();
    }
    return entry;
  }

  /// The row's name: what the user called it, and where 16-bit weights come from a quantized file,
  /// that.
  [[nodiscard]] std::string row_name() const {
    if (recipe_.name == "stored") return plan_.source + " (stored)";
    const bool any_quantized = std::ranges::any_of(
        plan_.entries, [](const PlanEntry& e) { return e.precision.quantized; });
    if (!plan_.source_quantized || any_quantized) return recipe_.name;
    return fmt::format("{} (from {})", recipe_.name, plan_.source);
  }

  /// What --on-unsupported fallback moved to the CPU is in the row's name.
  void mark_fallback() {
    if (elsewhere_.empty() && fallen_ == 0) return;
    plan_.recipe += " -> cpu " + plan_.recipe;
    plan_.notices.push_back(elsewhere_.empty()
                                ? fmt::format("{} of {} layers run on the cpu: {}", fallen_,
                                              plan_.entries.size(), first_fallen_)
                                : elsewhere_ + "; every layer runs on the cpu");
  }

  static constexpr const char* kMixture =
      "mixtures of experts run on the cpu only: a router's choice is read on the host";

  const ModelSource& model_;
  const precision::Recipe& recipe_;
  const PlanOptions& options_;
  const std::vector<DeviceInfo>& there_;
  std::vector<precision::LayerInfo> layers_;
  precision::Plan plan_;
  bool automatic_ = false;
  std::string elsewhere_;    ///< why the whole model is on the CPU in place of the device
  std::string unsupported_;  ///< why no layer can run on the device
  int fallen_ = 0;           ///< layers on the CPU in place of the device
  std::string first_fallen_;
};

}  // namespace

kernels::cpu::LinearProblem problem_of(const precision::LayerInfo& layer,
                                       const Precision& precision) {
  const Encoding encoding = precision.weight.value_or(layer.source);
  const DType compute = precision.compute.value_or(DType::f32);
  return {.encoding = encoding,
          .activation = layer.lookup ? precision::Activation::native : precision.activation,
          .compute = layer.lookup ? tensor::held_as(compute) : compute,
          .double_quant = precision.double_quant,
          .n = layer.rows,
          .k = layer.cols};
}

tensor::Device resolve_device(const std::string& text) {
  return choose_device(text, kernels::cuda::devices(), kernels::cuda::unavailable()).device;
}

Json device_identity(const std::string& text) {
  const auto& there = kernels::cuda::devices();
  const DeviceChoice choice = choose_device(text, there, kernels::cuda::unavailable());
  if (choice.device.kind == DeviceKind::cpu) return "cpu";
  Json identity = Json::array();
  for (const DeviceInfo& device : there) {
    if (!choice.automatic && device.index != choice.device.index) continue;
    identity.push_back({{"device", tensor::to_string({DeviceKind::cuda, device.index})},
                        {"name", device.name},
                        {"uuid", device.uuid},
                        {"path", kernels::cuda::name_of(device.path)}});
    if (choice.automatic) identity.back()["budget"] = memory_budget(device);
  }
  return identity;
}

DType sixteen_bit_type(tensor::Device device) {
  return device.kind == DeviceKind::cpu ? DType::bf16
                                        : sixteen_bit_of(kernels::cuda::device(device.index));
}

precision::Plan make_plan(const ModelSource& model, const precision::Recipe& recipe,
                          const PlanOptions& options) {
  return Planner(model, recipe, options).run();
}

}  // namespace assay::engine
