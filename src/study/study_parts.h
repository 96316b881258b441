#pragma once

#include <filesystem>

#include "study/yaml_node.h"

namespace assay::study {

/// A workload of a study file as Cell::workload: lists for numbers, paths made absolute. What is
/// not given keeps its default in measure/bench.h.
[[nodiscard]] Json read_workload(const YamlNode& node, const std::filesystem::path& folder);

/// A list of tasks, each a name or a mapping with `task`, as Cell::tasks without baselines.
[[nodiscard]] Json read_tasks(const YamlNode& node, const std::filesystem::path& folder);

/// A path of the study file, made absolute.
[[nodiscard]] std::string read_path(const YamlNode& node, const std::filesystem::path& folder);

}  // namespace assay::study
