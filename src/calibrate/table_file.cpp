#include "calibrate/table_file.h"

#include "base/io.h"

namespace assay::calibrate {
namespace {

constexpr int kVersion = 1;
/// A layer takes about 20 kB.
constexpr std::size_t kMostBytes = std::size_t{256} << 20;

}  // namespace

void write_table(const std::filesystem::path& file, const std::string& model,
                 const precision::CalibrationTable& table) {
  const Json json = {{"assay_calibration", kVersion}, {"model", model}, {"table", table.to_json()}};
  base::write_atomically(file, json.dump() + "\n");
}

precision::CalibrationTable read_table(const std::filesystem::path& file,
                                       const std::string& model) {
  const std::string name = base::printable(file.string());
  const Json json = base::read_json(file, kMostBytes);
  const bool ours = json.is_object() && json.value("assay_calibration", Json()) == kVersion &&
                    json.contains("table") && json.contains("model");
  if (!ours) {
    fail(ErrorCode::bad_data, "{}: is no calibration table; `assay calibrate` writes one", name);
  }
  if (json.at("model") != model) {
    fail(ErrorCode::bad_data,
         "{}: was made from another model; a table holds for the model whose activations it saw",
         name);
  }
  try {
    return precision::CalibrationTable::from_json(json.at("table"));
  } catch (const Error& error) {
    fail(ErrorCode::bad_data, "{}: {}", name, error.what());
  }
}

}  // namespace assay::calibrate
