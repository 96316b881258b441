#include "study/calibration.h"

#include "base/hash.h"
#include "calibrate/calibrate.h"
#include "calibrate/table_file.h"
#include "files/hash_cache.h"
#include "kernels/cpu/isa.h"
#include "study/build_info.h"
#include "study/channel.h"

namespace assay::study {
namespace {

void send(int fd, const Json& record) {
  const std::string text = record.dump(-1, ' ', false, Json::error_handler_t::replace);
  write_frame(fd, text.data(), text.size());
}

/// The table as the child sees it in the data.
precision::CalibrationTable seen_table(const Cell& cell, const precision::CalibrationData& data,
                                       const base::ProgressSink& progress) {
  Json spec = {{"model", cell.model},
               {"threads", cell.threads},
               {"file", data.file},
               {"samples", data.samples},
               {"length", data.length}};
  if (data.random_seed) spec["random"] = *data.random_seed;
  Child child({"calibration"}, spec.dump());
  for (std::vector<std::byte> frame; read_frame(child.output(), frame);) {
    const std::string_view text(reinterpret_cast<const char*>(frame.data()), frame.size());
    const Json record = base::parse_json(text, "calibration");
    if (record.contains("table")) {
      return precision::CalibrationTable::from_json(record.at("table"));
    }
    if (record.contains("error")) {
      fail(static_cast<ErrorCode>(record.at("code").get<int>()), "calibration: {}",
           record.at("error").get<std::string>());
    }
    if (progress) {
      progress(record.at("stage").get<std::string>(), record.at("fraction").get<double>());
    }
  }
  fail(ErrorCode::internal, "the calibration's process ended before it sent its table");
}

}  // namespace

std::filesystem::path kept_table(const Cell& cell, const precision::CalibrationData& data,
                                 const base::ProgressSink& progress) {
  const auto folder = files::own_cache_folder();
  if (folder.empty()) return {};
  try {
    Json identity = {{"model", engine::content_hash(cell.model, progress)},
                     {"samples", data.samples},
                     {"length", data.length},
                     {"isa", kernels::cpu::name_of(kernels::cpu::active_isa())},
                     {"sources", kSourceHash}};
    if (data.random_seed) {
      identity["random"] = *data.random_seed;
    } else {
      // The name is part of what the table says of its origin.
      identity["name"] = std::filesystem::path(data.file).filename().string();
      identity["data"] = content_identity(data.file, progress);
    }
    const std::string text = identity.dump(-1, ' ', false, Json::error_handler_t::replace);
    return folder / "calibration" / (base::sha256_hex(text) + ".json");
  } catch (const Error&) {
    return {};  // whoever needs the data says what is wrong with them
  }
}

precision::CalibrationTable calibration_table(const Cell& cell,
                                              const precision::CalibrationData& data,
                                              const base::ProgressSink& progress) {
  if (!data.table.empty()) {
    return calibrate::read_table(data.table, engine::content_hash(cell.model, progress));
  }
  const auto kept = kept_table(cell, data, progress);
  if (kept.empty()) return seen_table(cell, data, progress);
  const std::string model = engine::content_hash(cell.model, progress);
  try {
    return calibrate::read_table(kept, model);
  } catch (const Error&) {  // not there yet, or damaged
  }
  auto table = seen_table(cell, data, progress);
  try {
    std::filesystem::create_directories(kept.parent_path());
    calibrate::write_table(kept, model, table);
  } catch (const std::exception&) {  // a cache that cannot be written is no reason to fail
  }
  return table;
}

precision::Plan calibrated_plan(const engine::ModelSource& source, const precision::Recipe& recipe,
                                const Cell& cell, const base::ProgressSink& progress) {
  engine::PlanOptions options{.device = cell.device, .fallback = cell.fallback};
  auto plan = engine::make_plan(source, recipe, options);
  if (!plan.awaits_calibration() || !plan.supported()) return plan;
  const auto table = calibration_table(cell, *recipe.calibration, progress);
  options.calibration = &table;
  return engine::make_plan(source, recipe, options);
}

void run_calibration(const Json& spec, int fd) {
  const auto failed = [fd](ErrorCode code, const std::string& message) {
    send(fd, {{"error", message}, {"code", static_cast<int>(code)}});
  };
  try {
    const auto source = engine::ModelSource::open(spec.at("model").get<std::string>());
    precision::CalibrationData wanted;
    wanted.file = spec.at("file").get<std::string>();
    wanted.samples = spec.at("samples").get<int>();
    wanted.length = spec.at("length").get<int>();
    if (spec.contains("random")) wanted.random_seed = spec.at("random").get<std::uint64_t>();
    const auto data = calibrate::read_data(*source, wanted);
    const auto table = calibrate::run(source, data,
                                      {.threads = spec.at("threads").get<int>(),
                                       .progress = [fd](const std::string& stage, double fraction) {
                                         send(fd, {{"stage", stage}, {"fraction", fraction}});
                                       }});
    send(fd, {{"table", table.to_json()}});
  } catch (const Error& error) {
    failed(error.code(), error.what());
  } catch (const std::exception& error) {
    failed(ErrorCode::internal, error.what());
  }
}

}  // namespace assay::study
