#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>

#include "kernels/cpu/linear/panel_ops.h"
#include "kernels/cpu/linear/products.h"

// LLM.int8(): activations are quantized per row at run time; columns in which any value reaches the
// threshold, or a fixed set of columns, are taken out, and multiplied in f32 with the dequantized
// weights. With a fixed range every row has the same scale, and nothing is taken out.
namespace assay::kernels::cpu {
namespace {

/// Calls body(thread, begin, end), divided only where it is worth a wake-up.
template <typename Body>
void divide(base::ThreadPool& pool, std::int64_t count, std::int64_t elements, const Body& body) {
  if (is_serial(elements)) {
    body(0, 0, count);
  } else {
    pool.parallel_for(count, body);
  }
}

class Job {
 public:
  /// range: the magnitude of code 127 in every row; 0: a row's own largest.
  Job(LinearCall& call, const Int8Ops& ops, float range)
      : call_(call),
        ops_(ops),
        range_(range),
        m_(call.x.rows),
        k_(call.weight.k),
        k_padded_(round_up(call.weight.k, kByteUnit)) {}

  void run() {
    const bool search = range_ == 0.0F && call_.fixed_outliers == nullptr && call_.threshold > 0.0F;
    reserve();
    if (range_ == 0.0F && call_.fixed_outliers != nullptr) {
      outliers_ = std::ssize(*call_.fixed_outliers);
      std::ranges::copy(*call_.fixed_outliers, columns_);
    }
    if (search) find_outliers();
    const bool loaded = search && m_ == 1 && is_serial(k_);
    divide(call_.pool, m_, m_ * k_, [&](int thread, std::int64_t begin, std::int64_t end) {
      float* x = x_ + thread * k_;
      for (std::int64_t r = begin; r < end; ++r) {
        if (!loaded) load(r, x);
        quantize(r, thread, x);
      }
    });
    multiply();
    call_.outlier_columns = outliers_;
  }

 private:
  void reserve() {
    const std::int64_t threads = call_.pool.threads();
    x_ = call_.workspace.array<float>(Workspace::kActivation, threads * k_);
    // One slot, several arrays: outlier columns, largest values by thread, outliers' activations.
    columns_ =
        call_.workspace.array<std::int32_t>(Workspace::kOutlier, (1 + threads) * k_ + m_ * k_);
    column_max_ = reinterpret_cast<float*>(columns_ + k_);
    outlier_x_ = column_max_ + threads * k_;
    row_scales_ = call_.workspace.array<float>(Workspace::kScales, 2 * m_);
    excess_ = reinterpret_cast<std::int32_t*>(row_scales_ + m_);
    // Codes of a row, or of a row for each thread and split ones of all.
    const bool split = ops_.split != nullptr;
    stride_ = split ? 2 * k_padded_ : k_padded_;
    const std::int64_t own = split ? round_up(threads * k_padded_, 64) : 0;
    codes_ = call_.workspace.array<std::int8_t>(Workspace::kCodes, own + m_ * stride_);
    operand_ = reinterpret_cast<std::uint8_t*>(codes_ + own);
  }

  void load(std::int64_t r, float* out) const {
    ops_.load_row({call_.x.row_bytes(r), call_.x.type, tensor::DType::f32, k_, k_, out});
  }

  /// All rows have to be seen before the first is quantized. A thread converts its rows twice and
  /// keeps none: reading back what another thread has written would take longer.
  void find_outliers() {
    const std::int64_t parts = is_serial(m_ * k_) ? 1 : call_.pool.threads();
    std::fill_n(column_max_, parts * k_, 0.0F);
    divide(call_.pool, m_, m_ * k_, [&](int thread, std::int64_t begin, std::int64_t end) {
      float* x = x_ + thread * k_;
      for (std::int64_t r = begin; r < end; ++r) {
        load(r, x);
        ops_.column_max(x, k_, 1, 0, k_, column_max_ + thread * k_);
      }
    });
    for (std::int64_t t = 1; t < parts; ++t) {
      const float* part = column_max_ + t * k_;
      for (std::int64_t i = 0; i < k_; ++i) column_max_[i] = std::max(column_max_[i], part[i]);
    }
    for (std::int64_t i = 0; i < k_; ++i) {
      if (column_max_[i] >= call_.threshold) columns_[outliers_++] = static_cast<std::int32_t>(i);
    }
  }

  /// Takes the outliers of a row out, then quantizes what is left.
  void quantize(std::int64_t r, int thread, float* x) {
    bool finite = true;
    for (std::int64_t i = 0; i < outliers_; ++i) {
      const float value = x[columns_[i]];
      finite = finite && std::isfinite(value);
      outlier_x_[r * outliers_ + i] = value;
      x[columns_[i]] = 0.0F;
    }
    float absmax = ops_.absmax(x, k_);
    finite = finite && std::isfinite(absmax);
    if (range_ > 0.0F) {
      if (absmax > range_) clamp(x);
      absmax = range_;
    }
    const float scale = absmax > 0.0F && finite ? std::min(127.0F / absmax, FLT_MAX) : 0.0F;
    row_scales_[r] = finite ? absmax : std::numeric_limits<float>::quiet_NaN();
    std::uint8_t* operand = operand_ + r * stride_;
    std::int8_t* codes = ops_.split != nullptr ? codes_ + thread * k_padded_
                                               : reinterpret_cast<std::int8_t*>(operand);
    std::int32_t sum = 0;
    if (finite) {
      sum = ops_.quantize(x, k_, k_padded_, scale, codes);
    } else {
      std::fill_n(codes, k_padded_, std::int8_t{0});
    }
    excess_[r] = ops_.split != nullptr ? ops_.split(codes, k_padded_, operand) : kByteOffset * sum;
  }

  /// What calibration did not see.
  void clamp(float* x) const {
    for (std::int64_t i = 0; i < k_; ++i) x[i] = std::min(std::max(x[i], -range_), range_);
  }

  void multiply() {
    const Division division(call_, stride_, false);
    const std::int64_t threads = call_.pool.threads();
    const std::int64_t sums = std::min(kSummedRows, m_) * kPanel;
    auto* acc = call_.workspace.array<float>(Workspace::kAccumulator, threads * sums * 2);
    auto* weights = call_.workspace.array<float>(Workspace::kOther, threads * outliers_ * kPanel);
    call_.pool.parallel_for(
        division.items(), [&](int thread, std::int64_t begin, std::int64_t end) {
          for (std::int64_t i = begin; i < end; ++i) {
            item(find_panel(call_, division.panel(i)), division.first_row(i), division.row_count(i),
                 acc + thread * sums * 2, weights + thread * outliers_ * kPanel);
          }
        });
  }

  void item(const PanelPlace& place, std::int64_t row0, std::int64_t rows, float* out,
            float* weights) const {
    const LinearProduct& product = place.product;
    const std::int64_t column0 = place.panel * kPanel;
    const std::byte* codes = product.weight.codes.data() + place.panel * k_padded_ * kPanel;
    const float* column_scales = product.weight.scales.as<float>() + column0;
    const Ahead ahead = panel_ahead(place, codes, k_padded_ * kPanel, rows);
    for (std::int64_t r = 0; r < rows; r += kSummedRows) {
      const std::int64_t count = std::min(kSummedRows, rows - r);
      multiply_rows(row0 + r, count, {codes, column_scales, weights, r > 0},
                    part_of(ahead, r, count, rows), out);
      const tensor::MatrixView y = product.y.columns(column0, 0);
      ops_.finish({out, count, std::min(kPanel, product.weight.n - column0), y.row_bytes(row0 + r),
                   y.stride, y.type, product.bias.empty() ? nullptr : product.bias.data() + column0,
                   nullptr, 0.0F});
    }
  }

  struct Panel {
    const std::byte* codes;
    const float* column_scales;
    float* outlier_weights;
    bool has_them;  ///< from the rows before
  };

  /// Sums of `rows` rows against a panel, in f32.
  void multiply_rows(std::int64_t row0, std::int64_t rows, const Panel& panel, const Ahead& ahead,
                     float* out) const {
    auto* sums = reinterpret_cast<std::int32_t*>(out + rows * kPanel);
    std::fill_n(out, rows * kPanel, 0.0F);
    ops_.multiply({operand_ + row0 * stride_, stride_, panel.codes, k_padded_, rows, sums, ahead});
    if (outliers_ > 0) {  // after the product, which has brought the panel into the cache
      if (!panel.has_them) {
        ops_.outlier_weights(panel.codes, panel.column_scales, columns_, outliers_,
                             panel.outlier_weights);
      }
      ops_.multiply_outliers(
          {outlier_x_ + row0 * outliers_, outliers_, panel.outlier_weights, outliers_, rows, out});
    }
    ops_.rescale(sums, rows, excess_ + row0, row_scales_ + row0, panel.column_scales, out);
  }

  LinearCall& call_;
  const Int8Ops& ops_;
  float range_;
  std::int64_t m_;
  std::int64_t k_;
  std::int64_t k_padded_;
  std::int64_t outliers_ = 0;
  float* x_ = nullptr;
  std::int32_t* columns_ = nullptr;
  float* column_max_ = nullptr;
  float* outlier_x_ = nullptr;
  float* row_scales_ = nullptr;
  std::int32_t* excess_ = nullptr;
  std::int8_t* codes_ = nullptr;
  std::uint8_t* operand_ = nullptr;
  std::int64_t stride_ = 0;  ///< bytes from row to row of operand_
};

}  // namespace

void run_int8_dynamic(LinearCall& call, const Int8Ops& ops) {
  call.outlier_columns = 0;
  if (call.x.rows == 0) return;
  Job(call, ops, 0.0F).run();
}

void run_int8_static(LinearCall& call, const Int8Ops& ops) {
  call.outlier_columns = 0;
  if (!(call.activation_range > 0.0F)) {
    fail(ErrorCode::internal, "int8 with a fixed scale was called without one");
  }
  if (call.x.rows == 0) return;
  Job(call, ops, call.activation_range).run();
}

}  // namespace assay::kernels::cpu
