#include "precision/calibration.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "base/hash.h"

namespace assay::precision {
namespace {

constexpr int kMantissaBits = 6;  // 64 bins to the octave
constexpr int kShift = 23 - kMantissaBits;
constexpr int kExponentBias = 127;
constexpr int kFirst = (MagnitudeHistogram::kLowestExponent + kExponentBias) << kMantissaBits;
static_assert(1 << kMantissaBits == MagnitudeHistogram::kPerOctave);

/// The leading bits of a float are its octave and its place within, so they number the bins.
int bin_of(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value) & 0x7fffffffU;
  const int bin = static_cast<int>(bits >> kShift) - kFirst + 1;
  return std::clamp(bin, 0, MagnitudeHistogram::kBins - 1);
}

[[noreturn]] void fail_table(const char* what) {
  fail(ErrorCode::bad_data, "a calibration table is damaged: {}", what);
}

}  // namespace

void MagnitudeHistogram::add(std::span<const float> values) {
  counts_.resize(kBins);
  for (const float value : values) ++counts_[static_cast<std::size_t>(bin_of(value))];
}

std::int64_t MagnitudeHistogram::total() const {
  return std::accumulate(counts_.begin(), counts_.end(), std::int64_t{0});
}

float MagnitudeHistogram::border(int bin) {
  if (bin <= 0) return 0.0F;
  const auto bits = static_cast<std::uint32_t>(kFirst + bin - 1) << kShift;
  return std::bit_cast<float>(bits);
}

double MagnitudeHistogram::percentile(double percent) const {
  const double wanted = static_cast<double>(total()) * percent / 100.0;
  double below = 0.0;
  for (int bin = 0; bin < static_cast<int>(counts_.size()); ++bin) {
    const auto count = static_cast<double>(counts_[static_cast<std::size_t>(bin)]);
    if (count > 0.0 && below + count >= wanted) {
      const double part = std::clamp((wanted - below) / count, 0.0, 1.0);
      return std::lerp(double{border(bin)}, double{border(bin + 1)}, part);
    }
    below += count;
  }
  return 0.0;
}

Json MagnitudeHistogram::to_json() const {
  const auto seen = [](std::int64_t count) { return count != 0; };
  const auto first = std::find_if(counts_.begin(), counts_.end(), seen);
  const auto last = std::find_if(counts_.rbegin(), counts_.rend(), seen).base();
  return {{"first", first - counts_.begin()},
          {"counts", first < last ? std::vector(first, last) : std::vector<std::int64_t>{}}};
}

MagnitudeHistogram MagnitudeHistogram::from_json(const Json& json) {
  const auto first = json.at("first").get<std::int64_t>();
  const auto counts = json.at("counts").get<std::vector<std::int64_t>>();
  MagnitudeHistogram histogram;
  if (counts.empty()) return histogram;
  if (first < 0 || first > kBins - std::ssize(counts)) fail_table("bins outside of the histogram");
  histogram.counts_.resize(kBins);
  std::copy(counts.begin(), counts.end(), histogram.counts_.begin() + first);
  return histogram;
}

float LayerCalibration::absmax() const {
  return column_absmax.empty() ? 0.0F : *std::ranges::max_element(column_absmax);
}

std::vector<std::int32_t> LayerCalibration::columns_reaching(float threshold) const {
  std::vector<std::int32_t> columns;
  for (std::size_t i = 0; i < column_absmax.size(); ++i) {
    if (column_absmax[i] >= threshold) columns.push_back(static_cast<std::int32_t>(i));
  }
  return columns;
}

const LayerCalibration* CalibrationTable::find(std::string_view layer) const {
  const auto found = std::ranges::find(layers, layer, &LayerCalibration::layer);
  return found == layers.end() ? nullptr : &*found;
}

Json CalibrationTable::to_json() const {
  Json list = Json::array();
  for (const LayerCalibration& layer : layers) {
    list.push_back({{"layer", layer.layer},
                    {"rows", layer.rows},
                    {"column_absmax", layer.column_absmax},
                    {"magnitudes", layer.magnitudes.to_json()}});
  }
  return {{"origin", origin}, {"data", data_hash}, {"tokens", tokens}, {"layers", std::move(list)}};
}

CalibrationTable CalibrationTable::from_json(const Json& json) {
  try {
    CalibrationTable table{.origin = json.at("origin").get<std::string>(),
                           .data_hash = json.at("data").get<std::string>(),
                           .tokens = json.at("tokens").get<std::int64_t>(),
                           .layers = {}};
    for (const Json& layer : json.at("layers")) {
      table.layers.push_back({.layer = layer.at("layer").get<std::string>(),
                              .rows = layer.at("rows").get<std::int64_t>(),
                              .column_absmax = layer.at("column_absmax").get<std::vector<float>>(),
                              .magnitudes = MagnitudeHistogram::from_json(layer.at("magnitudes"))});
    }
    return table;
  } catch (const Json::exception& error) {
    fail_table(error.what());
  }
}

std::string CalibrationTable::hash() const {
  Json json = to_json();
  json.erase("origin");
  return base::sha256_hex(json.dump());
}

Json CalibrationTable::summary() const {
  return {{"origin", origin}, {"tokens", tokens}, {"data", data_hash}, {"table", hash()}};
}

}  // namespace assay::precision
