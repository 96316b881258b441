#include "kernels/cpu/linear.h"

#include <vector>

#include "base/error.h"
#include "kernels/cpu/linear/identity.h"
#include "kernels/cpu/linear/layout.h"
#include "kernels/cpu/linear/pack.h"
#include "precision/constants.h"
#include "precision/encodings/block_forms.h"

// The table of linear kernels. A row's run() comes from the translation unit that was compiled for
// its instruction set, found by identity; everything else here is ordinary code.
namespace assay::kernels::cpu {
namespace {

/// 255 * 127 * k must fit int32.
constexpr std::int64_t kMostIntegerDepth = 65536;

/// Weights whose blocks are parts of rows, so that k is a multiple of the block.
std::int64_t required_multiple(Encoding encoding, Isa isa) {
  if (encoding == Encoding::int4 || encoding == Encoding::uint8) return kGroupUnit;
  const precision::EncodingInfo& info = precision::info(encoding);
  if (info.block <= 1) return 1;
  // Elsewhere blocks that cross rows are decoded one by one.
  return info.row_aligned || isa >= Isa::avx512_vnni_bf16 ? info.block : 1;
}

bool refuse(std::string* why, std::string reason) {
  if (why != nullptr) *why = std::move(reason);
  return false;
}

/// What a kernel is for, as data: one function checks them all.
struct Ability {
  Encoding encoding;
  Activation activation;
  DType compute;
  Isa isa;
};

bool check(const Ability& able, const LinearProblem& problem, const CpuFeatures& cpu,
           std::string* why) {
  const bool integer = is_integer(able.activation);
  if (problem.encoding != able.encoding) {
    return refuse(why,
                  fmt::format("multiplies {} weights, not {}", precision::name_of(able.encoding),
                              precision::name_of(problem.encoding)));
  }
  if (problem.activation != able.activation) {
    return refuse(why, fmt::format("takes {} activations", precision::name_of(able.activation)));
  }
  if (!integer && problem.compute != able.compute) {
    return refuse(why, fmt::format("computes in {}, not {}", tensor::name_of(able.compute),
                                   tensor::name_of(problem.compute)));
  }
  if (problem.n < 1 || problem.k < 1) {
    return refuse(why, fmt::format("a weight of {} x {} is empty", problem.n, problem.k));
  }
  const std::int64_t multiple = required_multiple(able.encoding, able.isa);
  if (problem.k % multiple != 0) {
    return refuse(
        why, fmt::format("needs a depth that is a multiple of {}, not {}", multiple, problem.k));
  }
  if (integer && problem.k > kMostIntegerDepth) {
    return refuse(why, fmt::format("sums at most {} products in int32, not {}", kMostIntegerDepth,
                                   problem.k));
  }
  if (!has(able.isa, cpu)) {
    return refuse(why, fmt::format("needs instruction set {}", name_of(able.isa)));
  }
  return true;
}

template <Encoding E, Activation A, DType C, Isa I>
bool supports(const LinearProblem& problem, const CpuFeatures& cpu, std::string* why) {
  return check({E, A, C, I}, problem, cpu, why);
}

constexpr DType stored_type(Encoding encoding) {
  return encoding == Encoding::f16    ? DType::f16
         : encoding == Encoding::bf16 ? DType::bf16
                                      : DType::f32;
}

template <Encoding E>
consteval std::array<char, 32> lookup_name() {
  std::array<char, 32> text{};
  std::size_t used = 0;
  for (const char c : std::string_view("lookup_")) text[used++] = c;
  for (const char c : kEncodingNames[static_cast<std::size_t>(E)]) text[used++] = c;
  return text;
}

template <Encoding E>
inline constexpr std::array<char, 32> kLookupName = lookup_name<E>();

/// Rows are dequantized in f32, or copied in their stored type, by portable code.
template <Encoding E>
consteval KernelIdentity lookup_identity() {
  return {.kernel = kLookupName<E>.data(),
          .encoding = E,
          .activation = Activation::native,
          .compute = stored_type(E),
          .accumulate = "fp32",
          .path = kIsaNames[static_cast<std::size_t>(Isa::portable)],
          .device = tensor::DeviceKind::cpu};
}

template <Encoding E>
KernelIdentity lookup(const PackedWeight& weight, std::span<const std::int32_t> ids,
                      tensor::MatrixView y) {
  row_reader(E)(weight, ids, y);
  return lookup_identity<E>();
}

std::span<const CompiledLinear> compiled(Activation activation, Isa isa) {
  if (isa == Isa::amx) return amx_kernels();
  if (isa == Isa::avx512_vnni_bf16) return vnni_kernels();
  return is_integer(activation) ? int8_kernels(isa) : native_kernels(isa);
}

class Table {
 public:
  /// Adds the kernel if this build has it for the instruction set.
  template <Encoding E, Activation A, DType C, Isa I>
  void add() {
    add_from<E, A, C, I>(compiled(A, I));
  }
  template <Encoding E, Activation A, DType C, Isa I>
  void add_from(std::span<const CompiledLinear> there) {
    constexpr KernelIdentity kIdentity = linear_identity<E, A, C, I>();
    for (const CompiledLinear& kernel : there) {
      if (kernel.identity != kIdentity) continue;
      rows_.push_back({kIdentity, lookup_identity<E>(), supports<E, A, C, I>, packer(E), kernel.run,
                       lookup<E>});
    }
  }
  template <Encoding E, Isa I>
  void add_every_compute() {
    add<E, Activation::native, DType::f32, I>();
    add<E, Activation::native, DType::f16, I>();
    add<E, Activation::native, DType::bf16, I>();
  }
  template <Isa I>
  void add_isa() {
    add<Encoding::f32, Activation::native, DType::f32, I>();
    add<Encoding::f16, Activation::native, DType::f16, I>();
    add<Encoding::bf16, Activation::native, DType::bf16, I>();
    add<Encoding::int8, Activation::int8_dynamic, DType::i8, I>();
    add<Encoding::int8, Activation::int8_static, DType::i8, I>();
    add_every_compute<Encoding::int8, I>();
    add_every_compute<Encoding::nf4, I>();
    add_every_compute<Encoding::fp4, I>();
    add_every_compute<Encoding::q4_0, I>();
    add_every_compute<Encoding::q4_1, I>();
    add_every_compute<Encoding::q8_0, I>();
    add_every_compute<Encoding::int4, I>();
    add_every_compute<Encoding::uint8, I>();
    add_every_compute<Encoding::fp8_e4m3, I>();
    add_blocks<I>(std::make_index_sequence<precision::kBlockForms.size()>());
  }
  template <Isa I, std::size_t... Form>
  void add_blocks(std::index_sequence<Form...>) {
    (add_block<precision::kBlockForms[Form].encoding, I>(), ...);
  }
  template <Encoding E, Isa I>
  void add_block() {
    add_from<E, Activation::native, DType::f32, I>(block_kernels(I));
    add_from<E, Activation::native, DType::f16, I>(block_kernels(I));
    add_from<E, Activation::native, DType::bf16, I>(block_kernels(I));
  }
  [[nodiscard]] std::vector<LinearKernel> take() { return std::move(rows_); }

 private:
  std::vector<LinearKernel> rows_;
};

/// Best first: on a Zen 4 a wider instruction set was faster in linear_bench with many rows; with
/// one row f32 and int8 are bound by memory and tie. On a Xeon with AMX tiles did five times the
/// work of VDPBF16PS with many rows; with one row 4-bit weights were a third slower and others
/// tied. Not measured on other processors.
std::vector<LinearKernel> make_table() {
  Table table;
  table.add_isa<Isa::amx>();
  table.add_isa<Isa::avx512_vnni_bf16>();
  table.add_isa<Isa::avx512>();
  table.add_isa<Isa::avx2>();
  table.add_isa<Isa::portable>();
  return table.take();
}

}  // namespace

std::int64_t PackedWeight::bytes() const {
  return static_cast<std::int64_t>(codes.size() + scales.size()) + rest.bytes();
}

std::span<const LinearKernel> linear_kernels() {
  static const std::vector<LinearKernel> table = make_table();
  return table;
}

}  // namespace assay::kernels::cpu
