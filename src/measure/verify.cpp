#include "measure/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "base/hash.h"
#include "measure/kernel_name.h"

namespace assay::measure {
namespace {

using kernels::cuda::TensorCoreUse;
using kernels::cuda::WitnessedKernel;
using precision::Activation;
using precision::Encoding;
using tensor::DType;
using Work = KernelName::Work;

/// Work of one kind: what is in a ledger's entry and in a kernel's name.
using Kind = std::tuple<Work, std::string, Encoding, DType>;

Kind kind_of(const KernelName& name) {
  const bool weights = name.work == Work::product || name.work == Work::lookup;
  return {name.work, name.path, weights ? name.encoding : Encoding::f32,
          name.work == Work::product ? name.compute : DType::f32};
}

/// Both sides of the comparison, by kind.
struct Account {
  std::set<std::string> names;  ///< by the ledger
  std::int64_t claimed = 0;
  std::vector<const WitnessedKernel*> kernels;
};
using Accounts = std::map<Kind, Account>;

void claim(Accounts& accounts, const precision::Ledger::Entry& entry) {
  const precision::KernelIdentity& kernel = entry.kernel;
  const std::string path(kernel.path);
  const auto add = [&](const Kind& kind, const std::string& name) {
    Account& account = accounts[kind];
    account.names.insert(name);
    account.claimed += entry.calls;
  };
  if (kernel.kernel.starts_with("lookup_")) {
    return add({Work::lookup, path, kernel.encoding, DType::f32}, std::string(kernel.kernel));
  }
  add({Work::product, path, kernel.encoding, kernel.compute}, std::string(kernel.kernel));
  switch (kernel.activation) {
    case Activation::int8_dynamic:
    case Activation::int8_static:
      return add({Work::quantize_int8, path, Encoding::f32, DType::f32},
                 "int8 activations of " + path);
    case Activation::fp8_dynamic:
      return add({Work::quantize_fp8, path, Encoding::f32, DType::f32},
                 "fp8 activations of " + path);
    default:
      return;
  }
}

/// The type that a tensor-core instruction multiplies: "HMMA.16816.F32.BF16" -> bf16.
DType operand_of(std::string_view instruction) {
  const auto has = [&](std::string_view part) {
    return instruction.find(part) != std::string_view::npos;
  };
  if (has("E4M3") || instruction.starts_with("QMMA")) return DType::f8;
  if (instruction.find("IMMA") <= 1) return DType::i8;
  if (has(".BF16")) return DType::bf16;
  if (has(".TF32")) return DType::tf32;
  return DType::f16;
}

/// Whether a product in `compute` may be made of tensor-core instructions of this type.
bool may_use(DType compute, DType operand) {
  if (operand == compute) return true;
  // int8: outlier columns are one more tile of 16-bit products; fp8 on Hopper: decision 72.
  if (compute == DType::i8) return operand == DType::f16 || operand == DType::bf16;
  return compute == DType::f8 && operand == DType::f16;
}

bool must_use(DType compute, DType operand) {
  return operand == compute || (compute == DType::f8 && operand == DType::f16);
}

/// Why the instructions are not those of a product in `compute`; empty: they are.
std::string instruction_problem(DType compute, const std::set<std::string_view>& instructions) {
  bool found = compute == DType::f32;
  for (const std::string_view instruction : instructions) {
    const DType operand = operand_of(instruction);
    if (compute == DType::f32 || !may_use(compute, operand)) {
      return fmt::format("{} in a product in {}", instruction, tensor::name_of(compute));
    }
    found = found || must_use(compute, operand);
  }
  if (found) return {};
  return fmt::format("no tensor-core instruction for {}", tensor::name_of(compute));
}

/// Instructions of a kernel on that device; `known` is false for one that is not in the record.
std::set<std::string_view> instructions_of(const std::string& kernel,
                                           std::span<const TensorCoreUse> uses, int architecture,
                                           bool& known) {
  std::set<std::string_view> instructions;
  for (const TensorCoreUse& use : uses) {
    if (use.kernel != kernel || use.architecture != architecture) continue;
    known = true;
    if (!use.instruction.empty()) instructions.insert(use.instruction);
  }
  return instructions;
}

void add_problem(WitnessLine& line, const std::string& problem) {
  if (problem.empty()) return;
  line.problem += (line.problem.empty() ? "" : "; ") + problem;
}

void check_instructions(WitnessLine& line, DType compute, const Account& account,
                        std::span<const TensorCoreUse> uses, int architecture) {
  std::set<std::string_view> all;
  for (const WitnessedKernel* kernel : account.kernels) {
    bool known = false;
    const auto found = instructions_of(kernel->name, uses, architecture, known);
    if (!known) {
      line.recorded = false;
      continue;
    }
    add_problem(line, instruction_problem(compute, found));
    all.insert(found.begin(), found.end());
  }
  line.instructions = fmt::format("{}", fmt::join(all, " "));
}

WitnessLine line_of(const Kind& kind, const Account& account, std::span<const TensorCoreUse> uses,
                    int architecture) {
  WitnessLine line;
  line.work = fmt::format("{}", fmt::join(account.names, " + "));
  line.claimed = account.claimed;
  for (const WitnessedKernel* kernel : account.kernels) {
    line.seen += kernel->launches;
    line.kernels.push_back(read_kernel_name(kernel->name).text);
  }
  if (account.names.empty()) {
    line.work = line.kernels.front() + " of " + std::get<1>(kind);
    add_problem(line, "ran, and nothing in the ledger says so");
  } else if (line.seen == 0) {
    add_problem(line, "is in the ledger, and did not run");
  } else if (line.seen != line.claimed) {
    add_problem(line, fmt::format("{} launches in the ledger, {} ran", line.claimed, line.seen));
  }
  if (std::get<0>(kind) == Work::product) {
    check_instructions(line, std::get<3>(kind), account, uses, architecture);
  }
  return line;
}

}  // namespace

bool Verification::contradicted() const {
  return std::ranges::any_of(lines, [](const WitnessLine& line) { return !line.problem.empty(); });
}

bool Verification::recorded() const { return std::ranges::all_of(lines, &WitnessLine::recorded); }

Json Verification::to_json() const {
  Json all = Json::array();
  for (const WitnessLine& line : lines) {
    all.push_back({{"work", line.work},
                   {"ledger", line.claimed},
                   {"witness", line.seen},
                   {"kernels", line.kernels},
                   {"instructions", line.recorded ? Json(line.instructions) : Json()},
                   {"problem", line.problem}});
  }
  return {{"lines", all}, {"other_launches", other_launches}, {"calls_on_cpu", on_cpu}};
}

Verification compare_with_witness(const precision::Ledger& ledger,
                                  std::span<const WitnessedKernel> witnessed,
                                  std::span<const TensorCoreUse> uses, int architecture) {
  Verification result;
  Accounts accounts;
  for (const precision::Ledger::Entry& entry : ledger.entries()) {
    if (entry.kernel.device == tensor::DeviceKind::cpu) {
      result.on_cpu += entry.calls;
    } else if (entry.calls > 0) {
      claim(accounts, entry);
    }
  }
  for (const WitnessedKernel& kernel : witnessed) {
    const KernelName name = read_kernel_name(kernel.name);
    if (name.work == Work::other) {
      result.other_launches += kernel.launches;
    } else if (name.work == Work::foreign) {
      result.lines.push_back({.work = name.text,
                              .seen = kernel.launches,
                              .kernels = {name.text},
                              .problem = "ran, and is no kernel of this program"});
    } else {
      accounts[kind_of(name)].kernels.push_back(&kernel);
    }
  }
  for (const auto& [kind, account] : accounts) {
    result.lines.push_back(line_of(kind, account, uses, architecture));
  }
  return result;
}

void exercise(engine::Model& model, const VerifyWorkload& workload) {
  base::Random random(1);
  const auto tokens = [&](int count) {
    std::vector<engine::TokenId> ids(static_cast<std::size_t>(count));
    for (auto& id : ids) {
      id = static_cast<engine::TokenId>(
          random.below(static_cast<std::uint64_t>(model.config().vocabulary)));
    }
    return ids;
  };
  const bool decoder = model.config().causal;
  std::vector<std::vector<engine::TokenId>> ids;
  std::vector<engine::Sequence> batch;
  ids.reserve(static_cast<std::size_t>(workload.batch));
  batch.reserve(ids.capacity());
  for (int i = 0; i < workload.batch; ++i) {
    ids.push_back(tokens(decoder ? workload.prompt : workload.sequence));
  }
  for (int i = 0; i < workload.batch; ++i) batch.push_back({ids[static_cast<std::size_t>(i)], i});
  if (!decoder) {
    const bool labels = model.config().head == models::HeadKind::classifier;
    for (int i = 0; i < workload.iterations; ++i) {
      static_cast<void>(labels ? model.classify(batch) : model.embed(batch));
    }
    return;
  }
  models::KvCache cache = model.make_cache(workload.batch, workload.prompt + workload.generate);
  const std::span<const engine::TokenId> first = model.decode_greedy(batch, cache);
  std::vector<engine::TokenId> last(first.begin(), first.end());
  for (int step = 0; step < workload.generate; ++step) {
    for (std::size_t i = 0; i < last.size(); ++i) batch[i] = {{&last[i], 1}, static_cast<int>(i)};
    const auto next = model.decode_greedy(batch, cache);
    std::copy(next.begin(), next.end(), last.begin());
  }
}

}  // namespace assay::measure
