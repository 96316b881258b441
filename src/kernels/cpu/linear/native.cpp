#include <algorithm>

#include "kernels/cpu/linear/panel_ops.h"
#include "kernels/cpu/linear/products.h"
#include "kernels/cpu/linear/scales.h"
#include "precision/constants.h"

// A linear layer on activations in the compute type. Threads take panels of output columns, and
// groups of rows where panels are few; never parts of the depth: every output has the same bits on
// any number of threads. It is one accumulator over ascending depth, with the same bits in any
// batch, but for a call of a single row of codes in bf16, which may have sums of its own
// (NativeOps::single).
namespace assay::kernels::cpu {
namespace {

/// Activations in the operand type, padded to whole units of depth.
struct Operand {
  const std::byte* data;
  std::int64_t stride;  ///< elements
  std::int64_t element;

  [[nodiscard]] const std::byte* at(std::int64_t row, std::int64_t i) const {
    return data + (row * stride + i) * element;
  }
};

Operand load_operand(LinearCall& call, const NativeOps& ops, std::int64_t k_padded) {
  const tensor::MatrixView& x = call.x;
  const auto element = static_cast<std::int64_t>(tensor::size_of(ops.operand));
  if (x.type == ops.operand && ops.compute == ops.operand && x.cols == k_padded) {
    return {x.row_bytes(0), x.stride, element};
  }
  std::byte* out = call.workspace.get(Workspace::kActivation,
                                      static_cast<std::size_t>(x.rows * k_padded * element));
  const auto load = [&](int, std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      ops.load_row(
          {x.row_bytes(r), x.type, ops.compute, x.cols, k_padded, out + r * k_padded * element});
    }
  };
  if (is_serial(x.rows * k_padded)) {
    load(0, 0, x.rows);
  } else {
    call.pool.parallel_for(x.rows, load);
  }
  return {out, k_padded, element};
}

/// Act-order: the activations' columns in the order of the stored ones. The weight is read once, in
/// its order; only the far smaller activations are copied.
template <typename T>
Operand gather(LinearCall& call, const Operand& x, std::span<const std::int32_t> order,
               std::int64_t k_padded) {
  auto* out = call.workspace.array<T>(Workspace::kCodes, call.x.rows * k_padded);
  for (std::int64_t r = 0; r < call.x.rows; ++r) {
    const T* from = reinterpret_cast<const T*>(x.at(r, 0));
    T* to = out + r * k_padded;
    for (std::size_t j = 0; j < order.size(); ++j) to[j] = from[order[j]];
  }
  return {reinterpret_cast<const std::byte*>(out), k_padded, x.element};
}

Operand in_stored_order(LinearCall& call, const Operand& x, std::int64_t k_padded) {
  const auto order = stored_order(call.weight);
  if (order.empty()) return x;
  return x.element == 4 ? gather<std::uint32_t>(call, x, order, k_padded)
                        : gather<std::uint16_t>(call, x, order, k_padded);
}

/// What NativeOps::single reads, if this call uses it.
const std::byte* load_single(LinearCall& call, const NativeOps& ops, const Operand& x,
                             std::int64_t k_padded) {
  if (call.x.rows != 1 || ops.single == nullptr) return nullptr;
  if (ops.arrange == nullptr) return x.at(0, 0);
  const std::int64_t bytes = ops.arranged_depth(k_padded) * x.element;
  std::byte* out = call.workspace.get(Workspace::kArranged, static_cast<std::size_t>(bytes));
  ops.arrange(x.at(0, 0), k_padded, out);
  return out;
}

/// Depth of a decoded block: with few rows it stays in the first cache, with many in the second.
std::int64_t decoded_depth(std::int64_t rows, tensor::DType operand) {
  constexpr std::int64_t kFirstCachePart = std::int64_t{16} << 10;
  const auto element = static_cast<std::int64_t>(tensor::size_of(operand));
  return rows <= 8 ? kFirstCachePart / (kPanel * element) : 512;
}

/// What one thread writes to.
struct Scratch {
  float* acc;
  float* scales;
  std::byte* panel;
};

struct ScratchPlan {
  std::int64_t acc;
  std::int64_t scales;
  std::int64_t panel;

  ScratchPlan(const LinearCall& call, const NativeOps& ops, std::int64_t group_rows,
              std::int64_t depth)
      : acc(std::min(group_rows, call.x.rows) * kPanel),
        scales(ops.source == source_codes ? 0 : round_up(4 * call.weight.k + 2 * kPanel, 16)),
        panel(ops.decode == nullptr
                  ? 0
                  : depth * kPanel * static_cast<std::int64_t>(tensor::size_of(ops.operand))) {}
};

class Job {
 public:
  Job(LinearCall& call, const NativeOps& ops)
      : call_(call),
        ops_(ops),
        k_padded_(round_up(call.weight.k, ops.unit)),
        depth_(decoded_depth(call.x.rows, ops.operand)),
        flat_(ops.decode_flat != nullptr && call.weight.k % precision::kFourBitBlock != 0),
        division_(call, k_padded_ * static_cast<std::int64_t>(tensor::size_of(ops.operand)),
                  ops.decode != nullptr),
        x_(in_stored_order(call, load_operand(call, ops, k_padded_), k_padded_)),
        single_(load_single(call, ops, x_, k_padded_)) {}

  void run() {
    const ScratchPlan plan(call_, ops_, division_.group_rows, depth_);
    const std::int64_t threads = call_.pool.threads();
    auto* acc = call_.workspace.array<float>(Workspace::kAccumulator, threads * plan.acc);
    auto* scales = call_.workspace.array<float>(Workspace::kScales, threads * plan.scales);
    std::byte* panel =
        call_.workspace.get(Workspace::kOther, static_cast<std::size_t>(threads * plan.panel));
    call_.pool.parallel_for(
        division_.items(), [&](int thread, std::int64_t begin, std::int64_t end) {
          const Scratch scratch{acc + thread * plan.acc, scales + thread * plan.scales,
                                panel + thread * plan.panel};
          for (std::int64_t i = begin; i < end; ++i) item(i, scratch);
        });
  }

 private:
  void item(std::int64_t index, const Scratch& scratch) const {
    const PanelPlace place = find_panel(call_, division_.panel(index));
    const std::int64_t row0 = division_.first_row(index);
    const std::int64_t rows = division_.row_count(index);
    if (flat_) {
      multiply_flat(place, row0, rows, scratch);
      finish(place, row0, rows, scratch.acc);
      return;
    }
    const PanelSource source = ops_.source(place.product.weight, place.panel, ops_, scratch.scales);
    if (ops_.decode == nullptr) {
      multiply_stored(place, source, row0, rows, scratch);
      return;
    }
    if (single_ != nullptr) {
      ops_.single(source, single_, k_padded_, scratch.acc);
    } else {
      multiply_decoded(source, row0, rows, scratch);
    }
    finish(place, row0, rows, scratch.acc);
  }

  void start(std::int64_t rows, float* acc) const {
    if (!ops_.starts) std::fill_n(acc, rows * kPanel, 0.0F);
  }

  void multiply_stored(const PanelPlace& place, const PanelSource& source, std::int64_t row0,
                       std::int64_t rows, const Scratch& scratch) const {
    const std::int64_t bytes = k_padded_ * kPanel * x_.element;
    const Ahead ahead = panel_ahead(place, source.codes, bytes, rows);
    if (stores_outputs(place.product, place.panel)) {
      const tensor::MatrixView y = place.product.y.columns(place.panel * kPanel, kPanel);
      ops_.multiply({x_.at(row0, 0), x_.stride, source.codes, k_padded_, rows, y.row<float>(row0),
                     ahead, true, y.stride, bias_of(place)});
      return;
    }
    // A deep panel of f32 would not stay near for a second group of rows.
    const std::int64_t most = x_.element < 4 ? kSummedRows : rows;
    for (std::int64_t r = 0; r < rows; r += most) {
      const std::int64_t count = std::min(most, rows - r);
      start(count, scratch.acc);
      ops_.multiply({x_.at(row0 + r, 0), x_.stride, source.codes, k_padded_, count, scratch.acc,
                     part_of(ahead, r, count, rows), true});
      finish(place, row0 + r, count, scratch.acc);
    }
  }

  /// Whether the sums of a whole panel are the outputs but for the bias.
  [[nodiscard]] bool stores_outputs(const LinearProduct& product, std::int64_t panel) const {
    return ops_.stores && ops_.column_factor == 0.0F && product.y.type == tensor::DType::f32 &&
           (panel + 1) * kPanel <= product.weight.n;
  }

  void multiply_decoded(const PanelSource& source, std::int64_t row0, std::int64_t rows,
                        const Scratch& scratch) const {
    start(rows, scratch.acc);
    for (std::int64_t i = 0; i < k_padded_; i += depth_) {
      const std::int64_t end = std::min(k_padded_, i + depth_);
      ops_.decode(source, i, end, scratch.panel);
      ops_.multiply(
          {x_.at(row0, i), x_.stride, scratch.panel, end - i, rows, scratch.acc, Ahead{}, i == 0});
    }
  }

  void multiply_flat(const PanelPlace& place, std::int64_t row0, std::int64_t rows,
                     const Scratch& scratch) const {
    std::fill_n(scratch.acc, rows * kPanel, 0.0F);
    auto* decoded = reinterpret_cast<float*>(scratch.panel);
    for (std::int64_t i = 0; i < k_padded_; i += depth_) {
      const std::int64_t end = std::min(k_padded_, i + depth_);
      ops_.decode_flat(place.product.weight, place.panel, i, end, ops_.compute, decoded);
      ops_.multiply({x_.at(row0, i), x_.stride, decoded, end - i, rows, scratch.acc});
    }
  }

  static const float* bias_of(const PanelPlace& place) {
    const std::span<const float> bias = place.product.bias;
    return bias.empty() ? nullptr : bias.data() + place.panel * kPanel;
  }

  void finish(const PanelPlace& place, std::int64_t row0, std::int64_t rows,
              const float* acc) const {
    const LinearProduct& product = place.product;
    const std::int64_t column0 = place.panel * kPanel;
    const tensor::MatrixView y = product.y.columns(column0, 0);
    const bool scaled = ops_.column_factor != 0.0F;
    ops_.finish({acc, rows, std::min(kPanel, product.weight.n - column0), y.row_bytes(row0),
                 y.stride, y.type, bias_of(place),
                 scaled ? product.weight.scales.as<float>() + column0 : nullptr,
                 ops_.column_factor});
  }

  LinearCall& call_;
  const NativeOps& ops_;
  std::int64_t k_padded_;
  std::int64_t depth_;
  bool flat_;
  Division division_;
  Operand x_;
  const std::byte* single_;  ///< the row for NativeOps::single, or nullptr
};

}  // namespace

void run_native(LinearCall& call, const NativeOps& ops) {
  if (call.x.rows == 0) return;
  Job(call, ops).run();
}

}  // namespace assay::kernels::cpu
