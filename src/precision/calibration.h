#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace assay::precision {

/// How often which magnitude was seen: bins of equal width within an octave, 64 of them, from 2^-24
/// to 2^16. What is smaller (zeros too) falls into the first bin, what is larger into the last.
/// Counts add up to the same whatever the order, so that a table depends on no batch or thread.
class MagnitudeHistogram {
 public:
  static constexpr int kPerOctave = 64;
  static constexpr int kLowestExponent = -24;
  static constexpr int kOctaves = 40;
  static constexpr int kBins = kOctaves * kPerOctave + 1;

  void add(std::span<const float> values);
  [[nodiscard]] std::int64_t total() const;
  /// Of every bin; empty before the first value.
  [[nodiscard]] const std::vector<std::int64_t>& counts() const { return counts_; }
  /// Lower border of a bin (0 for the first); that of kBins is where the last one ends.
  [[nodiscard]] static float border(int bin);
  /// Below which `percent` of all magnitudes lie, linear within a bin: exact to 1/64. `percent` in
  /// [0, 100]; 0 if nothing was seen.
  [[nodiscard]] double percentile(double percent) const;

  [[nodiscard]] Json to_json() const;  ///< {"first", "counts"}, without empty bins around
  [[nodiscard]] static MagnitudeHistogram from_json(const Json& json);

 private:
  std::vector<std::int64_t> counts_;
};

/// What calibration saw enter one linear layer (the experts of a block are one layer).
struct LayerCalibration {
  std::string layer;                 ///< name, as in plans
  std::int64_t rows = 0;             ///< tokens
  std::vector<float> column_absmax;  ///< of every input channel
  MagnitudeHistogram magnitudes;     ///< of all values

  [[nodiscard]] float absmax() const;
  /// Columns in which any value reached `threshold`, ascending: the fixed set of
  /// `outliers: calibrated`.
  [[nodiscard]] std::vector<std::int32_t> columns_reaching(float threshold) const;
};

/// What one pass of calibration data through a model in fp32 saw. Plain data: made in
/// `calibrate`, read by the planner.
struct CalibrationTable {
  std::string origin;     ///< for people: "wiki.txt, 32 x 256 tokens"
  std::string data_hash;  ///< SHA-256 of the token ids
  std::int64_t tokens = 0;
  std::vector<LayerCalibration> layers;

  /// nullptr if the layer was never reached.
  [[nodiscard]] const LayerCalibration* find(std::string_view layer) const;
  [[nodiscard]] Json to_json() const;
  /// bad_data if it is no table.
  [[nodiscard]] static CalibrationTable from_json(const Json& json);
  /// SHA-256 over everything but `origin`.
  [[nodiscard]] std::string hash() const;
  /// What plan and row say of it: {"origin", "tokens", "data", "table"}, the last two hashes.
  [[nodiscard]] Json summary() const;
};

}  // namespace assay::precision
