#include <fmt/format.h>

#include <filesystem>

#include "base/io.h"
#include "base/names.h"
#include "base/yaml.h"
#include "precision/recipe_detail.h"

// The value of --precision: names, inline recipes and files, separated by commas.
namespace assay::precision {
namespace {

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

/// Splits at commas outside of braces, brackets and quotes.
std::vector<std::string> split(const std::string& argument) {
  std::vector<std::string> parts(1);
  int depth = 0;
  char quote = '\0';
  for (const char c : argument) {
    if (quote != '\0') {
      if (c == quote) quote = '\0';
    } else if (depth > 0 && (c == '\'' || c == '"')) {
      quote = c;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      --depth;
    } else if (c == ',' && depth == 0) {
      parts.emplace_back();
      continue;
    }
    parts.back() += c;
  }
  for (std::string& part : parts) part = std::string(trimmed(part));
  return parts;
}

bool is_file(const std::string& text) {
  if (text.find('/') != std::string::npos) return true;
  const std::string extension = std::filesystem::path(text).extension().string();
  return extension == ".yaml" || extension == ".yml" || extension == ".json";
}

std::vector<Recipe> read_recipe_file(const std::filesystem::path& file) {
  const base::YamlDocument document = base::read_yaml(file);
  const auto where = [&](const std::string& pointer) {
    return fmt::format("{} line {}", file.string(), document.line(pointer));
  };
  const Json& value = document.value;
  if (!value.is_object() || !value.contains("recipes")) {
    return {parse_recipe(file.stem().string(), with_absolute_paths(value, file.parent_path()),
                         where(""))};
  }
  check_keys(value, {"recipes"}, where(""));
  const Json& recipes = value.at("recipes");
  if (!recipes.is_object() || recipes.empty()) {
    fail(ErrorCode::usage, "{}: 'recipes' must map names to recipes", where("/recipes"));
  }
  std::vector<Recipe> list;
  for (const auto& [name, recipe] : recipes.items()) {
    const auto pointer = Json::json_pointer("/recipes") / name;
    list.push_back(parse_recipe(
        name, with_absolute_paths(recipe, file.parent_path()),
        fmt::format("{} recipe '{}'", where(pointer.to_string()), base::printable(name))));
  }
  return list;
}

}  // namespace

std::vector<Recipe> parse_recipe_argument(const std::string& argument) {
  std::vector<Recipe> recipes;
  for (const std::string& part : split(argument)) {
    if (part.empty()) {
      fail(ErrorCode::usage, "--precision '{}' has an empty part; names are {}",
           base::printable(argument), fmt::join(precision_names(), ", "));
    }
    if (part.front() == '{') {
      const base::YamlDocument document = base::parse_yaml(part, "--precision");
      recipes.push_back(parse_recipe(part, with_absolute_paths(document.value, ""), "--precision"));
    } else if (is_file(part)) {
      for (Recipe& recipe : read_recipe_file(part)) recipes.push_back(std::move(recipe));
    } else {
      const Precision precision = parse_precision(part, "--precision");
      recipes.push_back(parse_recipe(precision.name, part, "--precision"));
    }
  }
  return recipes;
}

}  // namespace assay::precision
