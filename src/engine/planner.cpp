#include "engine/planner.h"

#include <algorithm>

#include "engine/layer_problem.h"

namespace assay::engine {
namespace {

using precision::Encoding;
using precision::PlanEntry;
using precision::Precision;
using tensor::DType;

constexpr std::string_view kNoCuda =
    "this build has no CUDA: it has only the device cpu; build with CUDA, or use --device cpu";

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

PlanEntry plan_layer(const precision::LayerInfo& layer, Precision precision) {
  PlanEntry entry{.layer = layer, .precision = std::move(precision), .kernel = {}, .reason = {}};
  const auto problem = problem_of(layer, entry.precision);
  entry.reason = encoding_reason(layer, problem.encoding);
  if (entry.reason.empty() && layer.lookup &&
      entry.precision.activation != precision::Activation::native) {
    entry.reason = "a table that is looked up has no activations to quantize; use int8-weight-only";
  }
  if (!entry.reason.empty()) return entry;
  const ops::LinearChoice choice = ops::choose_linear(problem);
  if (choice.kernel == nullptr) {
    entry.reason = choice.reason;
  } else {
    entry.kernel = layer.lookup ? choice.kernel->lookup_identity : choice.kernel->identity;
  }
  return entry;
}

/// The row's name: what the user called it, and where 16-bit weights come from a quantized file,
/// that.
std::string row_name(const precision::Recipe& recipe, const precision::Plan& plan) {
  if (recipe.name == "stored") return plan.source + " (stored)";
  const bool any_quantized = std::any_of(plan.entries.begin(), plan.entries.end(),
                                         [](const PlanEntry& e) { return e.precision.quantized; });
  if (!plan.source_quantized || any_quantized) return recipe.name;
  return fmt::format("{} (from {})", recipe.name, plan.source);
}

/// --on-unsupported fallback for a device that is not there: the same precisions on the CPU,
/// marked.
void mark_fallback(precision::Plan& plan, const std::string& wanted) {
  plan.recipe += " -> cpu " + plan.recipe;
  plan.notices.push_back(fmt::format("{}: {}; every layer runs on the cpu", wanted, kNoCuda));
  for (PlanEntry& entry : plan.entries) entry.fallback = true;
}

bool names_cuda(const std::string& text) {
  const std::string_view rest =
      std::string_view(text).substr(std::min<std::size_t>(4, text.size()));
  if (!text.starts_with("cuda")) return false;
  return rest.empty() || (rest.size() > 1 && rest.size() < 6 && rest[0] == ':' &&
                          rest.find_first_not_of("0123456789", 1) == std::string_view::npos);
}

}  // namespace

kernels::cpu::LinearProblem problem_of(const precision::LayerInfo& layer,
                                       const Precision& precision) {
  const Encoding encoding = precision.weight.value_or(layer.source);
  return {.encoding = encoding,
          .activation = layer.lookup ? precision::Activation::native : precision.activation,
          .compute = layer.lookup ? tensor::held_as(precision.compute.value_or(DType::f32))
                                  : precision.compute.value_or(DType::f32),
          .double_quant = precision.double_quant,
          .n = layer.rows,
          .k = layer.cols};
}

tensor::Device resolve_device(const std::string& text) {
  if (text == "cpu" || text == "auto") return {};
  if (names_cuda(text)) fail(ErrorCode::device_missing, "{}: {}", text, kNoCuda);
  fail(ErrorCode::usage, "unknown device \"{}\": use cpu, cuda, cuda:N or auto", text);
}

DType sixteen_bit_type(tensor::Device /*device*/) { return DType::bf16; }

precision::Plan make_plan(const ModelSource& model, const precision::Recipe& recipe,
                          const PlanOptions& options) {
  const bool fallback = options.fallback && names_cuda(options.device);
  precision::Plan plan;
  plan.device = fallback ? tensor::Device{} : resolve_device(options.device);
  plan.recipe_canonical = recipe.canonical();
  plan.source = model.source_name();
  plan.source_quantized = precision::info(model.dominant_encoding()).quantized;

  const std::vector<precision::LayerInfo> layers = model.layers();
  precision::Assignment assignment =
      precision::assign(recipe, layers, sixteen_bit_type(plan.device));
  plan.activations = assignment.activations;
  plan.kv = assignment.kv;
  plan.notices = std::move(assignment.notices);
  plan.notices.insert(plan.notices.end(), model.weights().notices.begin(),
                      model.weights().notices.end());
  for (std::size_t i = 0; i < layers.size(); ++i) {
    plan.entries.push_back(plan_layer(layers[i], std::move(assignment.layers[i])));
  }
  plan.recipe = row_name(recipe, plan);
  if (fallback) mark_fallback(plan, options.device);
  return plan;
}

}  // namespace assay::engine
