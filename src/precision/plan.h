#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "precision/recipe.h"

namespace assay::precision {

/// What a kernel is, fixed when it is compiled. The launcher writes it into the ledger; a plan
/// holds a copy of what the chooser promised.
struct KernelIdentity {
  std::string_view kernel;            ///< "linear_bf16_avx512bf16"
  Encoding encoding = Encoding::f32;  ///< weights it reads
  Activation activation = Activation::native;
  tensor::DType compute = tensor::DType::f32;  ///< type of the multiplied operands
  std::string_view accumulate = "fp32";        ///< "fp32" or "int32"
  std::string_view path;                       ///< "portable", "avx2", ..., "sm90"
  tensor::DeviceKind device = tensor::DeviceKind::cpu;
  friend bool operator==(const KernelIdentity&, const KernelIdentity&) = default;
};
[[nodiscard]] Json to_json(const KernelIdentity& identity);

/// One layer of a plan. `reason` is empty when the layer can run.
struct PlanEntry {
  LayerInfo layer;
  Precision precision;
  KernelIdentity kernel;
  std::string reason;
  bool fallback = false;  ///< not on the device asked for (--on-unsupported fallback)
  /// Columns of `outliers: calibrated`, ascending; none: those of each call.
  std::optional<std::vector<std::int32_t>> outliers = std::nullopt;
  /// int8_static: the magnitude that becomes code 127.
  std::optional<float> activation_range = std::nullopt;
  tensor::Device device;  ///< that holds the weight and runs the kernel
};

/// A recipe resolved against one model and one device.
struct Plan {
  std::string recipe;  ///< its name, with the source: "bf16 (from q4_1)"
  Json recipe_canonical;
  std::string source;  ///< dominant stored encoding of the file: "q4_1", "fp32"
  bool source_quantized = false;
  tensor::Device device;  ///< the one asked for; of `auto` the first that is used
  /// Device of every transformer block; what comes before is on the first one's, what comes behind
  /// on the last one's. Empty: all on `device`.
  std::vector<tensor::Device> blocks;
  tensor::DType activations = tensor::DType::f32;
  tensor::DType kv = tensor::DType::f32;
  Json calibration;  ///< CalibrationTable::summary(); null where nothing is calibrated
  std::vector<PlanEntry> entries;
  std::vector<std::string> notices;

  /// Devices that hold weights, in order of the layers.
  [[nodiscard]] std::vector<tensor::Device> devices() const;
  /// "cuda:0", "cuda:0+cuda:1+cpu".
  [[nodiscard]] std::string device_names() const;
  /// Of block `index`; -1: of what comes before the blocks, `blocks`: of what comes behind.
  [[nodiscard]] tensor::Device device_of_block(std::int64_t index) const;
  [[nodiscard]] bool supported() const;
  /// Some layer asks for calibration and has not got it: such a plan is for looking at.
  [[nodiscard]] bool awaits_calibration() const;
  /// First reasons why it is not supported, one line; empty when it is.
  [[nodiscard]] std::string reasons() const;
  [[nodiscard]] Json to_json() const;
  [[nodiscard]] std::string hash() const;
};

/// What in fact executed. Layers are registered once, by name; launchers then record by index. Not
/// thread-safe: launchers run on the thread that owns the model.
class Ledger {
 public:
  struct Entry {
    std::string layer;
    KernelIdentity kernel;
    std::int64_t calls = 0;
    std::int64_t rows_min = 0;  ///< rows per call (the outlier set of int8 is that of one call)
    std::int64_t rows_max = 0;
    std::int64_t outlier_columns = 0;  ///< summed over calls
  };
  /// One launch, as a CUDA graph holds it.
  struct Call {
    int layer = 0;
    KernelIdentity kernel;
    std::int64_t rows = 0;
  };

  [[nodiscard]] int add_layer(const std::string& name);
  void record(int layer, const KernelIdentity& kernel, std::int64_t rows,
              std::int64_t outlier_columns = 0);
  /// Outlier columns of a layer's last recorded kernel that became known later.
  void add_outlier_columns(int layer, std::int64_t columns);

  /// What is recorded between the two is kept for replay() and did not happen yet: the launchers of
  /// a graph that is being captured. cancel_capture() forgets it.
  void begin_capture();
  [[nodiscard]] std::vector<Call> end_capture();
  void cancel_capture() noexcept { captured_.reset(); }
  /// One launch of a graph that holds the calls.
  void replay(const std::vector<Call>& calls);

  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  [[nodiscard]] std::int64_t layers() const { return std::ssize(layers_); }
  void clear();  ///< forgets calls, keeps layers
  [[nodiscard]] Json to_json() const;

 private:
  std::vector<std::string> layers_;
  std::vector<Entry> entries_;
  std::vector<int> first_;  ///< entry of a layer, -1 before its first call
  std::optional<std::vector<Call>> captured_;
};

/// Empty when every planned layer ran, by the planned kernel and no other; else the first
/// differences in one line. A tied lookup layer counts by its own entry.
[[nodiscard]] std::string compare(const Plan& plan, const Ledger& ledger);

/// Rows for people and for `executed` in reports: layers with equal encoding, compute and kernel
/// are folded into one pattern ("model.layers.*.mlp.down_proj" x 30).
[[nodiscard]] Json summarize(const Ledger& ledger);

}  // namespace assay::precision
