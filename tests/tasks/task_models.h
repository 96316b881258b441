#pragma once

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "engine/model.h"

namespace assay::tasks {

inline std::unique_ptr<engine::Model> load_path(const std::filesystem::path& path,
                                                const std::string& recipe, int threads = 0) {
  const auto source = engine::ModelSource::open(path);
  auto plan = engine::make_plan(*source, precision::parse_recipe(recipe, recipe, "test"), {});
  return std::make_unique<engine::Model>(source, std::move(plan),
                                         engine::LoadOptions{.threads = threads, .progress = {}});
}

/// A small random model of tests/golden/models.
inline std::unique_ptr<engine::Model> load_golden(const std::string& name,
                                                  const std::string& recipe, int threads = 0) {
  return load_path(std::string(ASSAY_GOLDEN_DIR) + "/models/" + name, recipe, threads);
}

/// A path that an environment variable names; empty if there is nothing.
inline std::filesystem::path real_path(const char* variable, const std::string& inside = {}) {
  const char* value = std::getenv(variable);
  if (value == nullptr) return {};
  const std::filesystem::path path = std::filesystem::path(value) / inside;
  const std::filesystem::path whole = inside.empty() ? std::filesystem::path(value) : path;
  std::error_code ignored;
  return std::filesystem::exists(whole, ignored) ? whole : std::filesystem::path();
}

}  // namespace assay::tasks
