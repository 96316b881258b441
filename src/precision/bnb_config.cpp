#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/io.h"
#include "precision/match.h"
#include "precision/recipe_detail.h"

// BitsAndBytesConfig of transformers as a recipe, with that library's defaults, and the keyword
// arguments of from_pretrained() that people keep beside it.
namespace assay::precision {
namespace {

using tensor::DType;

constexpr double kDefaultThreshold = 6.0;

const std::vector<std::string> kFourBitKeys = {"bnb_4bit_quant_type", "bnb_4bit_use_double_quant",
                                               "bnb_4bit_compute_dtype"};

/// Reads the keys of one config; null means the default, as it does there.
class Reader {
 public:
  Reader(const Json& value, const std::string& where) : value_(value), where_(where) {}

  [[nodiscard]] bool given(const std::string& key) const {
    return value_.contains(key) && !value_.at(key).is_null();
  }
  [[nodiscard]] bool flag(const std::string& key) const {
    if (!given(key)) return false;
    if (!value_.at(key).is_boolean()) fail_type(key, "true or false");
    return value_.at(key).get<bool>();
  }
  /// load_in_8bit and _load_in_8bit: to_dict() writes both.
  [[nodiscard]] bool load_flag(const std::string& key) const {
    const bool plain = flag(key);
    const bool inner = flag("_" + key);
    if (given(key) && given("_" + key) && plain != inner) {
      fail(ErrorCode::usage, "{}: '{}' and '_{}' differ", where_, key, key);
    }
    return plain || inner;
  }
  [[nodiscard]] double number(const std::string& key, double fallback) const {
    if (!given(key)) return fallback;
    if (!value_.at(key).is_number()) fail_type(key, "a number");
    return value_.at(key).get<double>();
  }
  [[nodiscard]] std::string text(const std::string& key, const std::string& fallback) const {
    if (!given(key)) return fallback;
    if (!value_.at(key).is_string()) fail_type(key, "a text");
    return value_.at(key).get<std::string>();
  }
  [[nodiscard]] DType type(const std::string& key, DType fallback) const {
    return given(key) ? parse_float_type(value_.at(key), place(key)) : fallback;
  }
  [[nodiscard]] std::vector<std::string> texts(const std::string& key) const {
    std::vector<std::string> list;
    if (!given(key)) return list;
    if (!value_.at(key).is_array()) fail_type(key, "a list of names");
    for (const Json& entry : value_.at(key)) {
      if (!entry.is_string()) fail_type(key, "a list of names");
      list.push_back(entry.get<std::string>());
      (void)SkipPattern(list.back(), place(key));
    }
    return list;
  }
  [[nodiscard]] std::string place(const std::string& key) const {
    return where_ + " '" + key + "'";
  }

 private:
  [[noreturn]] void fail_type(const std::string& key, const char* wanted) const {
    fail(ErrorCode::usage, "{}: must be {}", place(key), wanted);
  }

  const Json& value_;
  const std::string& where_;
};

void check_method(const Reader& reader) {
  const std::string method = reader.text("quant_method", "bitsandbytes");
  if (method == "bitsandbytes") return;
  fail(ErrorCode::unsupported, "{}: '{}' is not in this build; only bitsandbytes is read here",
       reader.place("quant_method"), base::printable(method));
}

/// torch_dtype or dtype: the type of what is not quantized. Nothing for auto.
std::optional<DType> outer_type(const Json& value, const Reader& reader) {
  std::optional<DType> type;
  for (const std::string key : {"dtype", "torch_dtype"}) {
    if (!reader.given(key) || value.at(key) == "auto") continue;
    const DType read = reader.type(key, DType::f32);
    if (type && *type != read) {
      fail(ErrorCode::usage, "{}: differs from 'dtype'", reader.place(key));
    }
    type = read;
  }
  return type;
}

Precision four_bit(const Reader& reader) {
  const std::string type = reader.text("bnb_4bit_quant_type", "fp4");
  if (type != "fp4" && type != "nf4") {
    fail(ErrorCode::usage, "{}: must be fp4 or nf4, not '{}'", reader.place("bnb_4bit_quant_type"),
         base::printable(type));
  }
  Precision precision = parse_precision(type, "recipe");
  precision.double_quant = reader.flag("bnb_4bit_use_double_quant");
  precision.compute = reader.type("bnb_4bit_compute_dtype", DType::f32);
  return precision;
}

Precision eight_bit(const Reader& reader) {
  Precision precision = parse_precision("int8", "recipe");
  const double threshold = reader.number("llm_int8_threshold", kDefaultThreshold);
  if (!(threshold >= 0.0) || !std::isfinite(static_cast<float>(threshold))) {
    fail(ErrorCode::usage, "{}: must be at least 0", reader.place("llm_int8_threshold"));
  }
  precision.threshold = static_cast<float>(threshold);
  return precision;
}

/// One notice per reason, naming every given key that it holds for.
void note_without_effect(const Reader& reader, const std::vector<std::string>& keys,
                         const std::string& reason, Recipe& recipe) {
  std::vector<std::string> found;
  std::copy_if(keys.begin(), keys.end(), std::back_inserter(found),
               [&](const std::string& key) { return reader.given(key); });
  if (found.empty()) return;
  recipe.notices.push_back(fmt::format("{}: no effect here: {}", fmt::join(found, ", "), reason));
}

void note_all_without_effect(const Reader& reader, bool eight, bool four, Recipe& recipe) {
  if (!eight) {
    note_without_effect(reader, {"llm_int8_threshold"}, "it belongs to load_in_8bit", recipe);
  }
  if (!four) note_without_effect(reader, kFourBitKeys, "they belong to load_in_4bit", recipe);
  if (!eight && !four) {
    note_without_effect(reader, {"llm_int8_skip_modules"}, "nothing is quantized", recipe);
  }
  note_without_effect(reader, {"bnb_4bit_quant_storage"},
                      "4-bit codes are always stored as bytes; the values are the same", recipe);
  note_without_effect(reader, {"llm_int8_enable_fp32_cpu_offload"},
                      "nothing is offloaded; every layer runs where the plan says", recipe);
  note_without_effect(reader, {"llm_int8_has_fp16_weight"},
                      "it serves training; no second copy of the weights is kept", recipe);
  note_without_effect(reader, {"device_map"}, "the plan places every layer; use --device", recipe);
  note_without_effect(reader, {"low_cpu_mem_usage"},
                      "weights are always mapped from the file, not copied first", recipe);
}

}  // namespace

const std::vector<std::string>& bnb_keys() {
  static const std::vector<std::string> keys = {"quant_method",
                                                "load_in_8bit",
                                                "load_in_4bit",
                                                "_load_in_8bit",
                                                "_load_in_4bit",
                                                "llm_int8_threshold",
                                                "llm_int8_skip_modules",
                                                "llm_int8_enable_fp32_cpu_offload",
                                                "llm_int8_has_fp16_weight",
                                                "bnb_4bit_quant_type",
                                                "bnb_4bit_use_double_quant",
                                                "bnb_4bit_compute_dtype",
                                                "bnb_4bit_quant_storage",
                                                "torch_dtype",
                                                "dtype",
                                                "device_map",
                                                "low_cpu_mem_usage"};
  return keys;
}

bool has_bnb_key(const Json& value) {
  return std::any_of(bnb_keys().begin(), bnb_keys().end(),
                     [&](const std::string& key) { return value.contains(key); });
}

Recipe parse_bnb_config(const std::string& name, const Json& value, const std::string& where) {
  check_keys(value, bnb_keys(), where);
  const Reader reader(value, where);
  check_method(reader);
  const bool eight = reader.load_flag("load_in_8bit");
  const bool four = reader.load_flag("load_in_4bit");
  if (eight && four) {
    fail(ErrorCode::usage, "{}: load_in_4bit and load_in_8bit are both true; choose one", where);
  }
  const std::optional<DType> type = outer_type(value, reader);
  if (!eight && !four && !type) {
    fail(ErrorCode::usage,
         "{}: neither load_in_8bit nor load_in_4bit is true and there is no dtype: nothing to do",
         where);
  }
  Recipe recipe;
  recipe.name = name;
  if (eight || four) {
    recipe.default_precision = eight ? eight_bit(reader) : four_bit(reader);
    recipe.sixteen_bit = type;
    recipe.skip_modules = reader.texts("llm_int8_skip_modules");
  } else {
    recipe.default_precision = plain_precision(*type);
  }
  note_all_without_effect(reader, eight, four, recipe);
  return recipe;
}

}  // namespace assay::precision
