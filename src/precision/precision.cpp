#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/io.h"
#include "base/names.h"
#include "precision/recipe_detail.h"

namespace assay::precision {
namespace {

using tensor::DType;

struct Known {
  std::string_view name;
  std::optional<Encoding> weight;
  Activation activation = Activation::native;
  std::optional<DType> compute;
  float threshold = 0.0F;
  bool quantized = true;
};

/// LLM.int8()'s outlier threshold where a recipe does not say another.
constexpr float kDefaultThreshold = 6.0F;

constexpr std::array<Known, 24> kKnown = {{
    {"fp32", Encoding::f32, Activation::native, DType::f32, 0.0F, false},
    {"fp16", Encoding::f16, Activation::native, DType::f16, 0.0F, false},
    {"bf16", Encoding::bf16, Activation::native, DType::bf16, 0.0F, false},
    {"tf32", Encoding::f32, Activation::native, DType::tf32, 0.0F, false},
    {"int8", Encoding::int8, Activation::int8_dynamic, {}, kDefaultThreshold, true},
    {"int8-static", Encoding::int8, Activation::int8_static, {}, 0.0F, true},
    {"int8-weight-only", Encoding::int8, Activation::native, {}, 0.0F, true},
    {"nf4", Encoding::nf4, Activation::native, {}, 0.0F, true},
    {"fp4", Encoding::fp4, Activation::native, {}, 0.0F, true},
    {"fp8", Encoding::fp8_e4m3, Activation::fp8_dynamic, {}, 0.0F, true},
    {"q4_0", Encoding::q4_0, Activation::native, {}, 0.0F, true},
    {"q4_1", Encoding::q4_1, Activation::native, {}, 0.0F, true},
    {"q8_0", Encoding::q8_0, Activation::native, {}, 0.0F, true},
    {"q5_0", Encoding::q5_0, Activation::native, {}, 0.0F, true},
    {"q5_1", Encoding::q5_1, Activation::native, {}, 0.0F, true},
    {"mxfp4", Encoding::mxfp4, Activation::native, {}, 0.0F, true},
    {"q2_k", Encoding::q2_k, Activation::native, {}, 0.0F, true},
    {"q3_k", Encoding::q3_k, Activation::native, {}, 0.0F, true},
    {"q4_k", Encoding::q4_k, Activation::native, {}, 0.0F, true},
    {"q5_k", Encoding::q5_k, Activation::native, {}, 0.0F, true},
    {"q6_k", Encoding::q6_k, Activation::native, {}, 0.0F, true},
    {"iq4_nl", Encoding::iq4_nl, Activation::native, {}, 0.0F, true},
    {"iq4_xs", Encoding::iq4_xs, Activation::native, {}, 0.0F, true},
    {"stored", {}, Activation::native, {}, 0.0F, true},
}};

/// Other spellings of the same.
constexpr std::array<std::array<std::string_view, 2>, 7> kSpellings = {{{"f32", "fp32"},
                                                                        {"fp8_e4m3", "fp8"},
                                                                        {"float32", "fp32"},
                                                                        {"f16", "fp16"},
                                                                        {"float16", "fp16"},
                                                                        {"half", "fp16"},
                                                                        {"bfloat16", "bf16"}}};

/// Names that mean something, for which there are no kernels yet.
constexpr std::array<std::string_view, 8> kLater = {"gptq", "awq",  "int4",  "nvfp4",
                                                    "q8_k", "q8_1", "mxfp8", "fp8_e5m2"};

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

const Known& find_precision(const std::string& written, const std::string& where) {
  std::string name = lower(written);
  for (const auto& [spelling, canonical] : kSpellings) {
    if (name == spelling) name = canonical;
  }
  for (const Known& known : kKnown) {
    if (known.name == name) return known;
  }
  if (std::find(kLater.begin(), kLater.end(), name) != kLater.end()) {
    fail(ErrorCode::unsupported, "{}: precision '{}' is not in this build yet; available are {}",
         where, name, fmt::join(precision_names(), ", "));
  }
  std::vector<std::string> names = precision_names();
  names.insert(names.end(), kLater.begin(), kLater.end());
  fail(ErrorCode::usage, "{}: unknown precision '{}'{}; available are {}", where,
       base::printable(written), base::did_you_mean(name, names),
       fmt::join(precision_names(), ", "));
}

Precision make(const Known& known) {
  return {.name = std::string(known.name),
          .weight = known.weight,
          .activation = known.activation,
          .double_quant = false,
          .compute = known.compute,
          .threshold = known.threshold,
          .quantized = known.quantized};
}

[[noreturn]] void no_effect(const Precision& precision, const char* key, const char* only,
                            const std::string& where) {
  fail(ErrorCode::usage, "{}: '{}' has no effect on {}; it belongs to {}", where, key,
       precision.name, only);
}

void read_threshold(const Json& value, Precision& precision, const std::string& where) {
  if (precision.activation != Activation::int8_dynamic) {
    no_effect(precision, "threshold", "int8", where);
  }
  const double threshold = value.is_number() ? value.get<double>() : -1.0;
  if (!(threshold >= 0.0) || !std::isfinite(static_cast<float>(threshold))) {
    fail(ErrorCode::usage, "{}: 'threshold' must be a number of at least 0 (0 = no outliers)",
         where);
  }
  precision.threshold = static_cast<float>(threshold);
}

void read_outliers(const Json& value, Precision& precision, const std::string& where) {
  if (precision.activation != Activation::int8_dynamic) {
    no_effect(precision, "outliers", "int8", where);
  }
  if (value == "per-call") return;
  if (value == "calibrated") {
    if (precision.threshold == 0.0F) {
      fail(ErrorCode::usage, "{}: 'outliers' has no effect with 'threshold: 0': there are none",
           where);
    }
    precision.calibrated_outliers = true;
    return;
  }
  fail(ErrorCode::usage, "{}: 'outliers' must be per-call or calibrated", where);
}

/// How the range of int8-static's activations follows from the calibration.
void read_range(const Json& value, Precision& precision, const std::string& where) {
  constexpr double kDefaultPercentile = 99.9;
  if (precision.activation != Activation::int8_static) {
    no_effect(precision, value.contains("method") ? "method" : "percentile", "int8-static", where);
  }
  const Json method = value.value("method", Json("percentile"));
  if (method != "minmax" && method != "percentile") {
    fail(ErrorCode::usage, "{}: 'method' must be minmax or percentile", where);
  }
  if (method == "minmax") {
    if (value.contains("percentile")) {
      fail(ErrorCode::usage, "{}: 'percentile' has no effect with 'method: minmax'", where);
    }
    return;
  }
  const Json percentile = value.value("percentile", Json(kDefaultPercentile));
  const double number = percentile.is_number() ? percentile.get<double>() : 0.0;
  if (!(number >= 50.0 && number <= 100.0)) {
    fail(ErrorCode::usage, "{}: 'percentile' must be a number from 50 to 100", where);
  }
  precision.percentile = number;
}

void read_compute(const Json& value, Precision& precision, const std::string& where) {
  const DType type = parse_float_type(value, where + " 'compute'");
  if (!precision.quantized && precision.compute != type) {
    fail(ErrorCode::usage, "{}: {} computes in {}; 'compute' belongs to quantized weights", where,
         precision.name, precision.name);
  }
  precision.compute = type;
}

}  // namespace

std::string_view name_of(Activation a) noexcept {
  switch (a) {
    case Activation::int8_dynamic:
      return "int8_dynamic";
    case Activation::int8_static:
      return "int8_static";
    case Activation::fp8_dynamic:
      return "fp8_dynamic";
    default:
      return "native";
  }
}

tensor::DType parse_float_type(const Json& value, const std::string& where) {
  if (value.is_string()) {
    try {
      const DType type = tensor::parse_dtype(value.get<std::string>());
      if (type == DType::f32 || type == DType::f16 || type == DType::bf16) return type;
    } catch (const Error&) {
      // Answered below, with the place.
    }
  }
  fail(ErrorCode::usage, "{}: {} is no floating type; use fp32, fp16 or bf16", where,
       base::printable(value.dump(-1, ' ', true, Json::error_handler_t::replace)));
}

std::optional<tensor::DType> parse_sixteen_bit(const Json& value, const std::string& where) {
  if (value == "auto") return {};
  const DType type = parse_float_type(value, where);
  if (type == DType::f32) {
    fail(ErrorCode::usage, "{}: fp32 has not 16 bits; use auto, bf16 or fp16", where);
  }
  return type;
}

Precision plain_precision(DType type) {
  return make(find_precision(std::string(tensor::name_of(type)), "precision"));
}

bool is_four_bit(const Precision& precision) {
  return precision.weight == Encoding::nf4 || precision.weight == Encoding::fp4;
}

std::vector<std::string> precision_names() {
  std::vector<std::string> names;
  names.reserve(kKnown.size());
  for (const Known& known : kKnown) names.emplace_back(known.name);
  return names;
}

Precision parse_precision(const Json& value, const std::string& where) {
  if (value.is_string()) return make(find_precision(value.get<std::string>(), where));
  check_keys(
      value,
      {"precision", "double_quant", "compute", "threshold", "outliers", "method", "percentile"},
      where);
  if (!value.contains("precision") || !value.at("precision").is_string()) {
    fail(ErrorCode::usage, "{}: 'precision' with a name is missing; names are {}", where,
         fmt::join(precision_names(), ", "));
  }
  Precision precision = make(find_precision(value.at("precision").get<std::string>(), where));
  if (value.contains("double_quant")) {
    if (!value.at("double_quant").is_boolean()) {
      fail(ErrorCode::usage, "{}: 'double_quant' must be true or false", where);
    }
    if (!is_four_bit(precision)) no_effect(precision, "double_quant", "nf4 and fp4", where);
    precision.double_quant = value.at("double_quant").get<bool>();
  }
  if (value.contains("threshold")) read_threshold(value.at("threshold"), precision, where);
  if (value.contains("outliers")) read_outliers(value.at("outliers"), precision, where);
  if (value.contains("method") || value.contains("percentile")) {
    read_range(value, precision, where);
  }
  if (value.contains("compute")) read_compute(value.at("compute"), precision, where);
  return precision;
}

Json Precision::canonical() const {
  Json json;
  json["weight"] = weight ? std::string(name_of(*weight)) : "stored";
  json["activation"] = name_of(activation);
  json["compute"] = compute ? std::string(tensor::name_of(*compute)) : "auto";
  if (activation == Activation::int8_dynamic) json["threshold"] = threshold;
  if (activation == Activation::int8_static) json["percentile"] = percentile;
  if (calibrated_outliers) json["outliers"] = "calibrated";
  if (is_four_bit(*this)) json["double_quant"] = double_quant;
  return json;
}

}  // namespace assay::precision
