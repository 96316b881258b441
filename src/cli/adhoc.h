#pragma once

#include <string>
#include <vector>

#include "cli/screen.h"

namespace assay::cli {

/// What bench and eval have in common: models, recipes, device, store. Both run as a study of
/// cells, so that there is one way in which things are measured.
struct AdhocArguments {
  std::vector<std::string> models;
  std::string precision = "bf16";
  std::string device = "cpu";
  int threads = 0;
  std::string calibration;  ///< table or data for recipes that need some and name none
  std::string on_unsupported = "fail";
  std::string store = "assay.db";
  std::vector<std::string> only;
  bool resume = false;
  ScreenOptions screen;
};
void add_adhoc_options(CLI::App& command, AdhocArguments& arguments);

/// The recipe, with this calibration where it needs one and names none.
[[nodiscard]] precision::Recipe with_calibration(const precision::Recipe& recipe,
                                                 const std::string& file);

/// One cell per model and recipe, without workload or tasks.
[[nodiscard]] study::Study adhoc_study(const std::string& name, const AdhocArguments& arguments);

/// Runs it on the screen; checks first, so that a wrong path is one line and not a failed cell.
[[nodiscard]] int run_adhoc(const study::Study& study, const AdhocArguments& arguments);

/// "1,8,32" or a single number; usage error naming the option otherwise.
[[nodiscard]] std::vector<int> parse_counts(const std::string& text, const std::string& option);

}  // namespace assay::cli
