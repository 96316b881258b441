#include "precision/recipe.h"

#include <algorithm>

#include "base/io.h"
#include "base/names.h"
#include "precision/match.h"
#include "precision/recipe_detail.h"

namespace assay::precision {
namespace {

using tensor::DType;

const std::vector<std::string> kRecipeKeys = {"default",     "rules", "sixteen_bit",
                                              "activations", "kv",    "calibration"};
const std::vector<std::string> kPrecisionKeys = {
    "precision", "double_quant", "compute", "threshold", "outliers", "method", "percentile"};
const std::vector<std::string> kWideKeys = {"sixteen_bit", "activations", "kv", "calibration"};

bool has_any(const Json& value, const std::vector<std::string>& keys) {
  return std::any_of(keys.begin(), keys.end(),
                     [&](const std::string& key) { return value.contains(key); });
}

/// The keys of `value` that are in `keys`, as an object.
Json selected(const Json& value, const std::vector<std::string>& keys) {
  Json part = Json::object();
  for (const std::string& key : keys) {
    if (value.contains(key)) part[key] = value.at(key);
  }
  return part;
}

/// "0-3,7", "first 5", 3 or [0, 1, "last 2"], as one text.
std::string layers_text(const Json& value, const std::string& where) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_unsigned() || value.is_number_integer()) return value.dump();
  if (!value.is_array() || value.empty()) {
    fail(ErrorCode::usage, "{}: 'layers' must be like \"first 5, last 5\" or \"0-3,7\"", where);
  }
  std::string text;
  for (const Json& part : value) {
    if (part.is_array()) fail(ErrorCode::usage, "{}: 'layers' holds a list in a list", where);
    text += (text.empty() ? "" : ",") + layers_text(part, where);
  }
  return text;
}

Rule parse_rule(const Json& value, const std::string& where) {
  std::vector<std::string> known = {"match", "layers"};
  known.insert(known.end(), kPrecisionKeys.begin(), kPrecisionKeys.end());
  check_keys(value, known, where);
  if (value.contains("match") == value.contains("layers")) {
    fail(ErrorCode::usage, "{}: a rule has either 'match' or 'layers'", where);
  }
  Rule rule;
  if (value.contains("layers")) {
    rule.layers = layers_text(value.at("layers"), where);
    (void)BlockSet::parse(rule.layers, where);
  } else {
    if (!value.at("match").is_string() || value.at("match").get<std::string>().empty()) {
      fail(ErrorCode::usage,
           "{}: 'match' must be a class (mlp, attention, embeddings, head), a glob or re:...",
           where);
    }
    rule.match = value.at("match").get<std::string>();
    (void)NamePattern(rule.match, where);
  }
  const bool nested = value.contains("precision") && value.at("precision").is_object();
  Json precision = selected(value, kPrecisionKeys);
  if (nested && precision.size() > 1) {
    fail(ErrorCode::usage, "{}: options stand either in 'precision: {{...}}' or beside it", where);
  }
  rule.precision = parse_precision(nested ? value.at("precision") : precision, where);
  return rule;
}

int read_count(const Json& value, const char* key, int fallback, const std::string& where) {
  constexpr std::int64_t kMost = 1 << 20;
  if (!value.contains(key)) return fallback;
  const Json& count = value.at(key);
  const std::int64_t number = count.is_number_integer() ? count.get<std::int64_t>() : 0;
  if (number < 1 || number > kMost) {
    fail(ErrorCode::usage, "{}: '{}' must be a number from 1 to {}", where, key, kMost);
  }
  return static_cast<int>(number);
}

std::string read_path(const Json& value, const char* key, const std::string& where) {
  if (!value.contains(key)) return {};
  const Json& path = value.at(key);
  if (!path.is_string() || path.get<std::string>().empty()) {
    fail(ErrorCode::usage, "{}: '{}' must be a path", where, key);
  }
  return path.get<std::string>();
}

/// A file of data; or {file, samples, length}, {random: SEED, samples, length} or {table}.
CalibrationData parse_calibration(const Json& value, const std::string& where) {
  CalibrationData data;
  const Json object = value.is_string() ? Json{{"file", value}} : value;
  check_keys(object, {"file", "table", "random", "samples", "length"}, where);
  data.file = read_path(object, "file", where);
  data.table = read_path(object, "table", where);
  if (object.contains("random")) {
    const Json& seed = object.at("random");
    if (!seed.is_number_integer() || seed.get<std::int64_t>() < 0) {
      fail(ErrorCode::usage, "{}: 'random' takes a seed, a whole number", where);
    }
    data.random_seed = seed.get<std::uint64_t>();
  }
  const int sources =
      int{!data.file.empty()} + int{!data.table.empty()} + int{data.random_seed.has_value()};
  if (sources != 1) {
    fail(ErrorCode::usage, "{}: one of 'file', 'table' and 'random' is needed", where);
  }
  if (!data.table.empty() && (object.contains("samples") || object.contains("length"))) {
    fail(ErrorCode::usage, "{}: 'samples' and 'length' have no effect on a table", where);
  }
  data.samples = read_count(object, "samples", data.samples, where);
  data.length = read_count(object, "length", data.length, where);
  return data;
}

void read_wide_keys(const Json& value, Recipe& recipe, const std::string& where) {
  if (value.contains("sixteen_bit")) {
    recipe.sixteen_bit = parse_sixteen_bit(value.at("sixteen_bit"), where + " 'sixteen_bit'");
  }
  if (value.contains("activations")) {
    recipe.activations = parse_float_type(value.at("activations"), where + " 'activations'");
  }
  if (value.contains("kv")) {
    const bool int8 = value.at("kv") == "int8";
    recipe.kv = int8 ? DType::i8
                     : parse_float_type(value.at("kv"), where + " 'kv' (int8 or a floating type)");
  }
  if (value.contains("calibration")) {
    recipe.calibration = parse_calibration(value.at("calibration"), where + " 'calibration'");
  }
}

void read_rules(const Json& value, Recipe& recipe, const std::string& where) {
  if (!value.is_array()) fail(ErrorCode::usage, "{}: 'rules' must be a list", where);
  for (std::size_t i = 0; i < value.size(); ++i) {
    recipe.rules.push_back(parse_rule(value.at(i), fmt::format("{} rule {}", where, i + 1)));
  }
}

[[noreturn]] void fail_unknown(const Json& value, const std::string& where) {
  std::vector<std::string> known = kRecipeKeys;
  known.insert(known.end(), kPrecisionKeys.begin(), kPrecisionKeys.end());
  known.insert(known.end(), bnb_keys().begin(), bnb_keys().end());
  if (value.is_object() && !value.empty() && !has_any(value, known))
    check_keys(value, known, where);
  fail(ErrorCode::usage,
       "{}: a recipe is a precision name, {{default, rules}}, {{precision, ...}} or the keys of "
       "BitsAndBytesConfig",
       where);
}

Json resolved(Precision precision, std::optional<DType> sixteen_bit) {
  if (!precision.compute) precision.compute = sixteen_bit;
  return precision.canonical();
}

std::string type_name(std::optional<DType> type) {
  return type ? std::string(tensor::name_of(*type)) : "auto";
}

}  // namespace

std::string_view name_of(LayerClass c) noexcept {
  switch (c) {
    case LayerClass::attention:
      return "attention";
    case LayerClass::mlp:
      return "mlp";
    case LayerClass::embeddings:
      return "embeddings";
    case LayerClass::head:
      return "head";
    default:
      return "other";
  }
}

void check_keys(const Json& value, const std::vector<std::string>& known,
                const std::string& where) {
  if (!value.is_object()) {
    fail(ErrorCode::usage, "{}: a name or a mapping expected, not {}", where, value.type_name());
  }
  for (const auto& [key, unused] : value.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      fail(ErrorCode::usage, "{}: unknown key '{}'{}", where, base::printable(key),
           base::did_you_mean(key, known));
    }
  }
}

std::optional<DType> own_sixteen_bit(const Recipe& recipe) {
  if (recipe.sixteen_bit) return recipe.sixteen_bit;
  const std::optional<DType> compute = recipe.default_precision.compute;
  return compute == DType::f32 ? std::nullopt : compute;
}

bool Recipe::needs_calibration() const {
  return default_precision.needs_calibration() || std::ranges::any_of(rules, [](const Rule& rule) {
           return rule.precision.needs_calibration();
         });
}

Json Recipe::canonical() const {
  const std::optional<DType> sixteen = own_sixteen_bit(*this);
  const bool stored = !default_precision.weight;
  const std::optional<DType> own =
      default_precision.quantized ? sixteen : default_precision.compute;
  Json json;
  json["default"] = resolved(default_precision, sixteen);
  json["rules"] = Json::array();
  for (const Rule& rule : rules) {
    Json entry = {{"precision", resolved(rule.precision, sixteen)}};
    if (rule.layers.empty()) {
      entry["match"] = rule.match;
    } else {
      entry["layers"] = BlockSet::parse(rule.layers, "rule").text();
    }
    json["rules"].push_back(std::move(entry));
  }
  // What a stored layer computes in depends on the file, so nothing is known before it.
  const std::string own_name = stored && !sixteen ? "auto" : type_name(own);
  json["activations"] = activations ? type_name(activations) : own_name;
  json["kv"] = kv ? type_name(kv) : json["activations"].get<std::string>();
  if (default_precision.quantized) json["sixteen_bit"] = type_name(sixteen);
  if (!skip_modules.empty()) {
    std::vector<std::string> skips = skip_modules;
    std::sort(skips.begin(), skips.end());
    skips.erase(std::unique(skips.begin(), skips.end()), skips.end());
    json["skip_modules"] = skips;
  }
  if (calibration && needs_calibration()) {
    json["calibration"] = {{"samples", calibration->samples}, {"length", calibration->length}};
    if (calibration->random_seed) json["calibration"]["random"] = *calibration->random_seed;
    if (!calibration->table.empty()) json["calibration"] = "table";
  }
  return json;
}

namespace {

Recipe read_recipe(const std::string& name, const Json& value, const std::string& where) {
  Recipe recipe;
  recipe.name = name;
  if (value.is_string()) {
    recipe.default_precision = parse_precision(value, where);
    return recipe;
  }
  if (!value.is_object()) fail_unknown(value, where);
  if (value.contains("default")) {
    check_keys(value, kRecipeKeys, where);
    recipe.default_precision = parse_precision(value.at("default"), where + " 'default'");
  } else if (value.contains("precision")) {
    std::vector<std::string> known = kPrecisionKeys;
    known.insert(known.end(), kWideKeys.begin(), kWideKeys.end());
    check_keys(value, known, where);
    recipe.default_precision = parse_precision(selected(value, kPrecisionKeys), where);
  } else if (has_bnb_key(value)) {
    return parse_bnb_config(name, value, where);
  } else {
    fail_unknown(value, where);
  }
  read_wide_keys(value, recipe, where);
  if (value.contains("rules")) read_rules(value.at("rules"), recipe, where);
  if (recipe.calibration && !recipe.needs_calibration()) {
    recipe.notices.emplace_back("'calibration' has no effect: no precision of this recipe uses it");
  }
  return recipe;
}

}  // namespace

Json with_absolute_paths(Json spec, const std::filesystem::path& folder) {
  if (!spec.is_object() || !spec.contains("calibration")) return spec;
  Json& data = spec["calibration"];
  const auto make_absolute = [&](Json& file) {
    if (!file.is_string() || file.get<std::string>().empty()) return;
    const auto path = std::filesystem::absolute(folder / file.get<std::string>());
    file = path.lexically_normal().string();
  };
  if (!data.is_object()) make_absolute(data);
  for (const char* key : {"file", "table"}) {
    if (data.is_object() && data.contains(key)) make_absolute(data[key]);
  }
  return spec;
}

Recipe parse_recipe(const std::string& name, const Json& value, const std::string& where) {
  Recipe recipe = read_recipe(name, value, where);
  recipe.spec = value;
  return recipe;
}

}  // namespace assay::precision
