#include <algorithm>
#include <array>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "kernels/cuda/linear/layout.h"
#include "kernels/cuda/linear/run.h"
#include "precision/encodings/grouped.h"

// The table of linear kernels: what the paths' device code offers, found by identity.
namespace assay::kernels::cuda {
namespace linear {
namespace {

using precision::Activation;
using precision::Encoding;
using precision::KernelIdentity;
using tensor::DType;

// Device code has these numbers written out (device.cuh): it includes nothing of C++20.
static_assert(static_cast<int>(Encoding::int8) == 3 && static_cast<int>(Encoding::nf4) == 4 &&
              static_cast<int>(Encoding::fp4) == 5 && static_cast<int>(Encoding::q4_0) == 6 &&
              static_cast<int>(Encoding::q4_1) == 7 && static_cast<int>(Encoding::q8_0) == 8 &&
              static_cast<int>(Encoding::int4) == 9 && static_cast<int>(Encoding::uint8) == 10 &&
              static_cast<int>(Encoding::fp8_e4m3) == 11);
static_assert(static_cast<int>(Activation::int8_dynamic) == 1 &&
              static_cast<int>(Activation::fp8_dynamic) == 2 &&
              static_cast<int>(Activation::int8_static) == 3);
static_assert(static_cast<int>(DType::f32) == 0 && static_cast<int>(DType::f16) == 1 &&
              static_cast<int>(DType::bf16) == 2 && static_cast<int>(DType::i8) == 4 &&
              static_cast<int>(DType::tf32) == 6 && static_cast<int>(DType::f8) == 7);

std::string compute_name(const Identity& identity) {
  switch (static_cast<Activation>(identity.activation)) {
    case Activation::int8_dynamic:
    case Activation::fp8_dynamic:
      return "dynamic";
    case Activation::int8_static:
      return "static";
    default:
      return std::string(tensor::name_of(static_cast<DType>(identity.compute)));
  }
}

/// "linear_nf4_bf16_sm90", as the CPU's names.
std::string kernel_name(const Identity& identity) {
  const auto encoding = static_cast<Encoding>(identity.encoding);
  const bool own = precision::info(encoding).quantized;
  return fmt::format("linear_{}{}{}_{}", own ? precision::name_of(encoding) : "", own ? "_" : "",
                     compute_name(identity), name_of(static_cast<Path>(identity.path)));
}

struct Row {
  std::string name;
  std::string lookup_name;
  KernelIdentity identity;
  KernelIdentity lookup_identity;
  const Entry* entry = nullptr;
  const LookupEntry* lookup = nullptr;
  const PathCode* code = nullptr;
};

KernelIdentity described(const Identity& identity, const std::string& name) {
  const auto compute = static_cast<DType>(identity.compute);
  return {.kernel = name,
          .encoding = static_cast<Encoding>(identity.encoding),
          .activation = static_cast<Activation>(identity.activation),
          .compute = compute,
          .accumulate = compute == DType::i8 ? "int32" : "fp32",
          .path = name_of(static_cast<Path>(identity.path)),
          .device = tensor::DeviceKind::cuda};
}

const LookupEntry* find_lookup(const PathCode& code, std::uint8_t encoding) {
  const LookupEntries lookups = code.lookups();
  const auto* end = lookups.first + lookups.count;
  const auto* found = std::find_if(lookups.first, end, [&](const LookupEntry& entry) {
    return entry.identity.encoding == encoding;
  });
  if (found == end) fail(ErrorCode::internal, "a linear kernel has no lookup beside it");
  return found;
}

/// Addresses of names are in identities: a deque keeps them.
std::deque<Row> make_rows() {
  std::deque<Row> rows;
  for (const Path path : {Path::sm90, Path::sm80, Path::sm75}) {
    const PathCode* code = code_of(path);
    if (code == nullptr) continue;
    for (const auto& products : code->products) {
      const Entries entries = products();
      for (int i = 0; i < entries.count; ++i) {
        Row& row = rows.emplace_back();
        row.code = code;
        row.entry = entries.first + i;
        row.lookup = find_lookup(*code, row.entry->identity.encoding);
        row.name = kernel_name(row.entry->identity);
        row.lookup_name = fmt::format(
            "lookup_{}_{}", precision::name_of(static_cast<Encoding>(row.entry->identity.encoding)),
            name_of(path));
        row.identity = described(row.entry->identity, row.name);
        row.lookup_identity = described(row.lookup->identity, row.lookup_name);
      }
    }
  }
  return rows;
}

const std::deque<Row>& rows() {
  static const std::deque<Row> table = make_rows();
  return table;
}

bool same(const Identity& a, const Identity& b) {
  return a.encoding == b.encoding && a.activation == b.activation && a.compute == b.compute &&
         a.path == b.path;
}

/// The identity that launched code gave, with its name: `expected` if it is that, as it always
/// should be; the ledger must see what it is, so anything else is looked for.
const KernelIdentity& identity_of(const Identity& got, const Row& expected) {
  if (same(got, expected.entry->identity)) return expected.identity;
  for (const Row& row : rows()) {
    if (same(got, row.entry->identity)) return row.identity;
  }
  fail(ErrorCode::internal, "a kernel was launched that is in no table");
}

bool refuse(std::string* why, std::string reason) {
  if (why != nullptr) *why = std::move(reason);
  return false;
}

/// 127 * 127 * k must fit int32.
constexpr std::int64_t kMostIntegerDepth = 131072;

/// Blocks and groups are whole, and parts of rows.
std::int64_t required_multiple(Encoding encoding) {
  if (encoding == Encoding::int4 || encoding == Encoding::uint8) return precision::kGroupUnit;
  return std::max(precision::info(encoding).block, 1);
}

bool fits(const KernelIdentity& kernel, const LinearProblem& problem, std::string* why) {
  if (problem.encoding != kernel.encoding) {
    return refuse(why,
                  fmt::format("multiplies {} weights, not {}", precision::name_of(kernel.encoding),
                              precision::name_of(problem.encoding)));
  }
  if (problem.activation != kernel.activation) {
    return refuse(why, fmt::format("takes {} activations, not {}", name_of(kernel.activation),
                                   name_of(problem.activation)));
  }
  if (kernel.activation == Activation::native && problem.compute != kernel.compute) {
    return refuse(why, fmt::format("computes in {}, not {}", tensor::name_of(kernel.compute),
                                   tensor::name_of(problem.compute)));
  }
  if (problem.n < 1 || problem.k < 1) {
    return refuse(why, fmt::format("a weight of {} x {} is empty", problem.n, problem.k));
  }
  constexpr std::int64_t kMost = std::int64_t{1} << 30;
  if (problem.n > kMost || problem.k > kMost) {
    return refuse(why, fmt::format("a weight of {} x {} is too large", problem.n, problem.k));
  }
  const std::int64_t multiple = required_multiple(kernel.encoding);
  if (problem.k % multiple != 0) {
    return refuse(
        why, fmt::format("needs a depth that is a multiple of {}, not {}", multiple, problem.k));
  }
  if (kernel.compute == DType::i8 && problem.k > kMostIntegerDepth) {
    return refuse(why, fmt::format("sums at most {} products in int32, not {}", kMostIntegerDepth,
                                   problem.k));
  }
  return true;
}

/// Lowest compute capability whose tensor cores multiply what the kernel does.
int needed_capability(const KernelIdentity& kernel) {
  if (kernel.compute == DType::f8) return 89;
  return kernel.compute == DType::bf16 || kernel.compute == DType::tf32 ? 80 : 75;
}

bool runs_on(const Row& row, const DeviceInfo& device, std::string* why) {
  const KernelIdentity& kernel = row.identity;
  if (device.capability() < needed_capability(kernel)) {
    return refuse(why, fmt::format("a device of compute capability {}.{} has no {}", device.major,
                                   device.minor, tensor::name_of(kernel.compute)));
  }
  // PTX of compute capability 8.0, which newer devices compile, has no fp8.
  if (kernel.compute == DType::f8 && row.code->path == Path::sm80 && device.capability() != 89) {
    return refuse(why, fmt::format("path sm80 has fp8 on compute capability 8.9 alone, not {}.{}",
                                   device.major, device.minor));
  }
  if (row.entry->run == nullptr) {
    return refuse(why,
                  fmt::format("path {} has no {}", kernel.path, tensor::name_of(kernel.compute)));
  }
  if (device.path != row.code->path) {
    return refuse(why, fmt::format("is of path {}, and the device runs {}", kernel.path,
                                   name_of(device.path)));
  }
  return true;
}

// A LinearKernel's functions know their row by its number.
template <std::size_t I>
bool supports_row(const LinearProblem& problem, const DeviceInfo& device, std::string* why) {
  const Row& row = rows()[I];
  return fits(row.identity, problem, why) && runs_on(row, device, why);
}
template <std::size_t I>
KernelIdentity run_row(LinearCall& call) {
  const Row& row = rows()[I];
  return identity_of(run(call, *row.entry, *row.code), row);
}
template <std::size_t I>
KernelIdentity lookup_row(const PackedWeight& weight, const std::int32_t* ids, tensor::MatrixView y,
                          Stream& stream) {
  const Row& row = rows()[I];
  const Identity got = lookup(weight, row.identity.encoding, ids, y, stream, *row.lookup);
  if (!same(got, row.lookup->identity)) {
    fail(ErrorCode::internal, "another lookup was launched than {}", row.lookup_name);
  }
  return row.lookup_identity;
}

constexpr std::size_t kMostRows = 128;

template <std::size_t... I>
std::vector<LinearKernel> make_table(std::index_sequence<I...>) {
  std::vector<LinearKernel> table;
  const auto add = [&]<std::size_t Number>() {
    if (Number >= rows().size()) return;
    const Row& row = rows()[Number];
    table.push_back({row.identity, row.lookup_identity, supports_row<Number>, pack, run_row<Number>,
                     lookup_row<Number>});
  };
  (add.template operator()<I>(), ...);
  if (table.size() != rows().size()) fail(ErrorCode::internal, "more kernels than places");
  return table;
}

}  // namespace
}  // namespace linear

std::span<const LinearKernel> linear_kernels() {
  static const std::vector<LinearKernel> table =
      linear::make_table(std::make_index_sequence<linear::kMostRows>());
  return table;
}

}  // namespace assay::kernels::cuda
