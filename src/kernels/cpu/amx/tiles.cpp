#include "kernels/cpu/amx/tiles.h"

#if defined(__x86_64__)

#include <algorithm>
#include <cstring>

// The eight tiles: sums 0 to 3 (rows of the first and second half x columns of the first and second
// half), x 4 and 5, weights 6 and 7. Instructions are written as assembly with a clobber of memory:
// the compiler's own macros of GCC 12 do not tell it what they read and write.
namespace assay::kernels::cpu::amx {
namespace {

constexpr int kTileRows = 16;
constexpr std::int64_t kDepthBytes = 64;          ///< of x in a tile: 16 units of 4 bytes
constexpr std::int64_t kPanelBytes = kPanel * 4;  ///< of a unit of depth, and of a row of sums
constexpr std::int64_t kHalf = kPanelBytes / 2;

/// The operand of LDTILECFG.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};
static_assert(sizeof(TileConfig) == 64);

TileConfig make_config(std::int64_t rows, std::int64_t depth_bytes) {
  TileConfig config;
  const auto set = [&](int tile, std::int64_t tile_rows, std::int64_t row_bytes) {
    if (tile_rows == 0) return;
    config.rows[tile] = static_cast<std::uint8_t>(tile_rows);
    config.row_bytes[tile] = static_cast<std::uint16_t>(row_bytes);
  };
  const std::int64_t first = std::min<std::int64_t>(rows, kTileRows);
  for (int half = 0; half < 2; ++half) {
    const std::int64_t tile_rows = half == 0 ? first : rows - first;
    set(2 * half, tile_rows, kHalf);
    set(2 * half + 1, tile_rows, kHalf);
    set(4 + half, tile_rows, depth_bytes);
    set(6 + half, depth_bytes / 4, kHalf);
  }
  return config;
}

/// The tiles of a thread stay configured from call to call.
void configure(std::int64_t rows, std::int64_t depth_bytes) {
  thread_local std::int64_t active = 0;
  const std::int64_t shape = rows << 8 | depth_bytes;
  if (active == shape) return;
  const TileConfig config = make_config(rows, depth_bytes);
  asm volatile("ldtilecfg %0" : : "m"(config) : "memory");
  active = shape;
}

template <int Tile>
[[gnu::always_inline]] inline void load(const std::byte* from, std::int64_t stride) {
  asm volatile("tileloadd (%1,%2,1), %%tmm%c0" : : "i"(Tile), "r"(from), "r"(stride) : "memory");
}
template <int Tile>
[[gnu::always_inline]] inline void store(std::byte* to, std::int64_t stride) {
  asm volatile("tilestored %%tmm%c0, (%1,%2,1)" : : "i"(Tile), "r"(to), "r"(stride) : "memory");
}
template <int Tile>
[[gnu::always_inline]] inline void zero() {
  asm volatile("tilezero %%tmm%c0" : : "i"(Tile));
}

struct Bf16Dot {
  static constexpr std::int64_t kElement = 2;                    ///< bytes of an x element
  static bool adds(const Block& block) { return !block.first; }  ///< to what the sums hold
  template <int Sum, int X, int W>
  [[gnu::always_inline]] static void add() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(Sum), "i"(X), "i"(W));
  }
};

/// Signed x, unsigned weights.
struct Int8Dot {
  static constexpr std::int64_t kElement = 1;
  static bool adds(const IntegerBlock& /*block*/) { return false; }
  template <int Sum, int X, int W>
  [[gnu::always_inline]] static void add() {
    asm volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(Sum), "i"(X), "i"(W));
  }
};

/// Brings near a little of what is read next, step by step.
class Prefetcher {
 public:
  Prefetcher(const Ahead& ahead, std::int64_t steps)
      : from_(ahead.from),
        end_(ahead.from + ahead.bytes),
        step_((ahead.bytes / std::max<std::int64_t>(steps, 1) + kLine - 1) / kLine * kLine) {}
  void step() {
    const std::byte* to = std::min(from_ + step_, end_);
    for (; from_ < to; from_ += kLine) __builtin_prefetch(from_, 0, 2);
  }

 private:
  static constexpr std::int64_t kLine = 64;
  const std::byte* from_;
  const std::byte* end_;
  std::int64_t step_;
};

/// At most 32 rows of x, in one half or two, against a panel.
template <class Dot, bool TwoHalves>
class TileBlock {
 public:
  TileBlock(const std::byte* x, std::int64_t stride, const std::byte* panel, std::byte* sums)
      : x_(x), stride_(stride), panel_(panel), sums_(sums) {}

  [[gnu::noinline]] void run(std::int64_t rows, std::int64_t units, bool adds, const Ahead& ahead) {
    const std::int64_t tiles = units / kTileRows;
    const std::int64_t left = units % kTileRows;
    configure(rows, tiles > 0 ? kDepthBytes : left * 4);
    if (adds) {
      load_sums();
    } else {
      clear_sums();
    }
    Prefetcher prefetcher(ahead, tiles);
    for (std::int64_t t = 0; t < tiles; ++t) {
      if constexpr (TwoHalves) prefetcher.step();
      step();
    }
    if (tiles > 0 && left > 0) {  // another shape of tiles, which forgets the sums
      finish();
      configure(rows, left * 4);
      load_sums();
    }
    if (left > 0) step();
    finish();
  }

 private:
  void clear_sums() {
    zero<0>();
    zero<1>();
    if constexpr (TwoHalves) {
      zero<2>();
      zero<3>();
    }
  }
  void load_sums() {
    load<0>(sums_, kPanelBytes);
    load<1>(sums_ + kHalf, kPanelBytes);
    if constexpr (TwoHalves) {
      load<2>(sums_ + kTileRows * kPanelBytes, kPanelBytes);
      load<3>(sums_ + kTileRows * kPanelBytes + kHalf, kPanelBytes);
    }
  }
  /// Up to 16 units of depth.
  void step() {
    load<6>(panel_, kPanelBytes);
    load<7>(panel_ + kHalf, kPanelBytes);
    load<4>(x_, stride_);
    Dot::template add<0, 4, 6>();
    Dot::template add<1, 4, 7>();
    if constexpr (TwoHalves) {
      load<5>(x_ + kTileRows * stride_, stride_);
      Dot::template add<2, 5, 6>();
      Dot::template add<3, 5, 7>();
    }
    x_ += kDepthBytes;
    panel_ += kTileRows * kPanelBytes;
  }
  void finish() {
    store<0>(sums_, kPanelBytes);
    store<1>(sums_ + kHalf, kPanelBytes);
    if constexpr (TwoHalves) {
      store<2>(sums_ + kTileRows * kPanelBytes, kPanelBytes);
      store<3>(sums_ + kTileRows * kPanelBytes + kHalf, kPanelBytes);
    }
  }

  const std::byte* x_;
  std::int64_t stride_;
  const std::byte* panel_;
  std::byte* sums_;
};

template <class Dot, class AnyBlock>
void multiply(const AnyBlock& block) {
  static_assert(sizeof(*block.acc) == 4);
  const auto* x = static_cast<const std::byte*>(block.x);
  const auto* panel = static_cast<const std::byte*>(static_cast<const void*>(block.panel));
  auto* sums = reinterpret_cast<std::byte*>(block.acc);
  const std::int64_t stride = block.x_stride * Dot::kElement;
  const std::int64_t units = block.k * Dot::kElement / 4;
  const bool adds = Dot::adds(block);
  for (std::int64_t row = 0; row < block.rows; row += 2 * kTileRows) {
    const std::int64_t rows = std::min<std::int64_t>(block.rows - row, 2 * kTileRows);
    const std::byte* from = x + row * stride;
    std::byte* to = sums + row * kPanelBytes;
    if (rows > kTileRows) {
      const Ahead ahead = part_of(block.ahead, row, rows, block.rows);
      TileBlock<Dot, true>(from, stride, panel, to).run(rows, units, adds, ahead);
    } else {
      TileBlock<Dot, false>(from, stride, panel, to).run(rows, units, adds, {});
    }
  }
}

}  // namespace

void multiply_bf16(const Block& block) { multiply<Bf16Dot>(block); }
void multiply_int8(const IntegerBlock& block) { multiply<Int8Dot>(block); }

}  // namespace assay::kernels::cpu::amx

#endif
