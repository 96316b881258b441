#include "engine/load.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "base/io.h"
#include "engine/encode_weight.h"
#include "engine/layer_problem.h"

namespace assay::engine {
namespace {

using models::WeightSpec;
using precision::EncodedTensor;
using precision::PlanEntry;

/// Gives back the pages that lie wholly inside of mapped bytes which have been read: the file's
/// pages are then not counted in this process's memory beside the packed weights. A later read maps
/// them again, so a refusal of the system means nothing.
void release_pages(std::span<const std::byte> mapped) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto address = reinterpret_cast<std::uintptr_t>(mapped.data());
  const std::uintptr_t begin = (address + page - 1) / page * page;
  const std::uintptr_t end = (address + mapped.size()) / page * page;
  if (begin >= end) return;
  void* start = const_cast<std::byte*>(mapped.data()) + (begin - address);
  (void)::madvise(start, end - begin, MADV_DONTNEED);
}

class Loader {
 public:
  Loader(const ModelSource& source, const precision::Plan& plan, ops::Context& context,
         const base::ProgressSink& progress)
      : source_(source), plan_(plan), context_(context), progress_(progress) {
    for (const WeightSpec& spec : source.weights().weights) total_ += stored_bytes(spec);
  }

  models::Weights load() {
    std::size_t layer = 0;
    for (const WeightSpec& spec : source_.weights().weights) {
      base::check_interrupted();
      if (progress_) progress_("load weights", done_ / std::max(total_, 1.0));
      if (spec.matrix) {
        load_layer(spec, plan_.entries.at(layer++));
      } else {
        keep_vector(spec, spec.role, spec.stored);
        if (!spec.bias.empty()) keep_vector(spec, spec.role + ".bias", spec.bias);
      }
      release_pages(source_.tensors().find(spec.stored)->bytes);
      done_ += stored_bytes(spec);
    }
    return std::move(weights_);
  }

 private:
  double stored_bytes(const WeightSpec& spec) const {
    if (!spec.layer.tied_to.empty() || spec.first_row > 0) return 0.0;
    const files::StoredTensor& tensor = *source_.tensors().find(spec.stored);
    return static_cast<double>(tensor.bytes.size() + tensor.extra_bytes);
  }

  /// Runs f; a numeric error gets the tensor's name and file.
  template <typename F>
  auto named(const std::string& tensor, const F& f) const {
    try {
      return f();
    } catch (const Error& error) {
      if (error.code() != ErrorCode::numeric) throw;
      fail(ErrorCode::numeric, "{}: tensor '{}': {}", source_.tensors().path().string(),
           base::printable(tensor), error.what());
    }
  }

  /// What a file stores as several tensors is put together once for all layers that are parts of
  /// it: experts, and what is fused with them.
  EncodedTensor whole(const std::string& name) {
    const files::StoredTensor& tensor = *source_.tensors().find(name);
    if (tensor.assemble == nullptr) return source_.tensors().encoded(tensor);
    if (assembled_name_ != name) {
      assembled_ = source_.tensors().encoded(tensor);
      assembled_name_ = name;
    }
    return assembled_;
  }

  EncodedTensor stored(const WeightSpec& spec, const std::string& tensor, std::int64_t expert) {
    EncodedTensor weight = whole(tensor);
    if (spec.experts > 0) {
      const std::int64_t rows = weight.rows / spec.experts;
      weight = slice_rows(weight, expert * rows, rows);
    }
    // A vector is one row in the file and has one element a row of the layer.
    if (tensor == spec.bias) {
      std::swap(weight.rows, weight.cols);
    } else if (spec.transposed) {
      weight = transposed(weight);
    }
    if (spec.all_rows > 0) {
      weight = slice_rows(weight, spec.first_row, spec.layer.rows, spec.row_step);
    }
    if (spec.interleaved_rows) weight = undo_interleaving(weight, source_.config().head_dim);
    return weight;
  }

  /// A norm or bias in f32, rounded to the activation type.
  std::vector<float> vector(const WeightSpec& spec, const std::string& tensor,
                            std::int64_t expert = 0) {
    return named(tensor, [&] {
      EncodedTensor weight = stored(spec, tensor, expert);
      if (weight.rows != 1) std::swap(weight.rows, weight.cols);
      const auto rounded_as = plan_.activations == tensor::DType::f16    ? precision::Encoding::f16
                              : plan_.activations == tensor::DType::bf16 ? precision::Encoding::bf16
                                                                         : precision::Encoding::f32;
      // f32 goes through its encoder too, which refuses NaN and infinity.
      std::vector<float> values(static_cast<std::size_t>(weight.cols));
      precision::info(weight.encoding).decode_row(weight, 0, values);
      const EncodedTensor rounded = precision::info(rounded_as).encode(values, 1, weight.cols);
      precision::info(rounded_as).decode_row(rounded, 0, values);
      for (float& value : values) value += spec.offset;
      return values;
    });
  }

  /// Beside the layers of its block; what comes before and behind the blocks, with the first and
  /// the last one.
  void keep_vector(const WeightSpec& spec, const std::string& role, const std::string& tensor) {
    std::int64_t block = spec.role.starts_with("embeddings") ? -1 : source_.config().blocks;
    constexpr std::string_view kBlocks = "blocks.";
    if (spec.role.starts_with(kBlocks)) block = std::stoll(spec.role.substr(kBlocks.size()));
    weights_.vectors[role] =
        ops::Vector(vector(spec, tensor), plan_.device_of_block(block), context_);
  }

  ops::LinearKernel kernel_of(const PlanEntry& entry) const {
    const auto problem = problem_of(entry.layer, entry.precision);
    const ops::LinearChoice choice =
        entry.device.kind == tensor::DeviceKind::cpu
            ? ops::choose_linear(problem)
            : ops::choose_linear(problem, kernels::cuda::device(entry.device.index));
    if (!choice.kernel) fail(ErrorCode::unsupported, "{}: {}", entry.layer.name, choice.reason);
    const auto& promised =
        entry.layer.lookup ? choice.kernel.lookup_identity() : choice.kernel.identity();
    if (promised != entry.kernel) {
      fail(ErrorCode::internal, "{}: the plan has kernel {}, now {} would run; plan again",
           entry.layer.name, entry.kernel.kernel, promised.kernel);
    }
    return choice.kernel;
  }

  const PlanEntry* entry_named(const std::string& name) const {
    for (const PlanEntry& entry : plan_.entries) {
      if (entry.layer.name == name) return &entry;
    }
    return nullptr;
  }

  /// The loaded layer whose packed weight this one can use as well, or nullptr.
  const ops::Linear* shared_with(const PlanEntry& entry, const ops::LinearKernel& kernel) const {
    if (entry.layer.tied_to.empty()) return nullptr;
    const PlanEntry* other = entry_named(entry.layer.tied_to);
    if (other == nullptr || other->device != entry.device ||
        !kernel_of(*other).shares_packing(kernel) ||
        other->precision.double_quant != entry.precision.double_quant) {
      return nullptr;
    }
    for (const auto& [role, layer] : weights_.matrices) {
      if (layer.name() == entry.layer.tied_to && layer.encoding() == kernel.identity().encoding) {
        return &layer;
      }
    }
    return nullptr;
  }

  void load_layer(const WeightSpec& spec, const PlanEntry& entry) {
    const ops::LinearKernel kernel = kernel_of(entry);
    if (const ops::Linear* other = shared_with(entry, kernel)) {
      keep(spec.role, entry,
           ops::Linear(entry.layer.name, *other, entry.precision, kernel, context_));
      return;
    }
    if (spec.experts == 0) return load_matrix(spec, entry, kernel, spec.role, 0);
    // Layers of one name: the experts have one entry in the plan and one in the ledger.
    for (std::int64_t expert = 0; expert < spec.experts; ++expert) {
      load_matrix(spec, entry, kernel, fmt::format("{}.{}", spec.role, expert), expert);
    }
  }

  void load_matrix(const WeightSpec& spec, const PlanEntry& entry, const ops::LinearKernel& kernel,
                   const std::string& role, std::int64_t expert) {
    std::vector<float> bias;
    if (!spec.bias.empty()) bias = vector(spec, spec.bias, expert);
    named(spec.stored, [&] {
      const auto problem = problem_of(entry.layer, entry.precision);
      if (const auto* made = made_on_device(spec, entry, problem)) {
        kernels::cuda::Stream& stream = context_.queue(entry.device).stream;
        keep(role, entry,
             ops::Linear(entry.layer.name,
                         kernels::cuda::synthesize_on_device(
                             *made, problem.encoding, problem.double_quant, *kernel.cuda(), stream),
                         std::move(bias), entry.precision, *kernel.cuda(), context_));
        return;
      }
      const EncodedTensor from = stored(spec, spec.stored, expert);
      if (encodes_on_device(entry, from, problem)) {
        keep(role, entry,
             ops::Linear(entry.layer.name, encoded_on_device(entry, from, problem, kernel),
                         std::move(bias), entry.precision, *kernel.cuda(), context_));
        return;
      }
      EncodedTensor weight = encode_weight(from, problem.encoding, context_.pool);
      if (problem.double_quant) precision::quantize_scales(weight);
      keep(role, entry,
           ops::Linear(entry.layer.name, weight, std::move(bias), entry.precision, kernel, context_,
                       entry.device));
    });
  }

  void keep(const std::string& role, const PlanEntry& entry, ops::Linear layer) {
    if (entry.outliers) layer.fix_outliers(*entry.outliers, context_);
    if (entry.activation_range) layer.fix_range(*entry.activation_range);
    weights_.matrices.emplace(role, std::move(layer));
  }

  /// The synthetic tensor that is this layer's weight as it stands and lies on a device; else
  /// nullptr.
  const precision::SyntheticTensor* made_on_device(
      const WeightSpec& spec, const PlanEntry& entry,
      const kernels::cpu::LinearProblem& problem) const {
    const bool part = spec.experts > 0 || spec.all_rows > 0;
    if (entry.device.kind != tensor::DeviceKind::cuda || part || spec.transposed ||
        spec.interleaved_rows ||
        !kernels::cuda::can_encode_on_device(problem.encoding, problem.double_quant)) {
      return nullptr;
    }
    const precision::SyntheticTensor* tensor = source_.synthetic_tensor(spec.stored);
    return tensor != nullptr && !tensor->vector ? tensor : nullptr;
  }

  /// A floating weight goes to the device as it is, and is quantized there.
  static bool encodes_on_device(const PlanEntry& entry, const EncodedTensor& from,
                                const kernels::cpu::LinearProblem& problem) {
    return entry.device.kind == tensor::DeviceKind::cuda && from.encoding != problem.encoding &&
           !precision::info(from.encoding).quantized &&
           kernels::cuda::can_encode_on_device(problem.encoding, problem.double_quant);
  }

  kernels::cuda::PackedWeight encoded_on_device(const PlanEntry& entry, const EncodedTensor& from,
                                                const kernels::cpu::LinearProblem& problem,
                                                const ops::LinearKernel& kernel) {
    const tensor::DType type = from.encoding == precision::Encoding::f32   ? tensor::DType::f32
                               : from.encoding == precision::Encoding::f16 ? tensor::DType::f16
                                                                           : tensor::DType::bf16;
    kernels::cuda::Stream& stream = context_.queue(entry.device).stream;
    const tensor::Matrix there(type, from.rows, from.cols, entry.device);
    stream.copy_to_device(there.view().data, from.codes.bytes.data(), from.codes.bytes.size());
    kernels::cuda::PackedWeight packed = kernels::cuda::encode_on_device(
        there.view(), problem.encoding, problem.double_quant, *kernel.cuda(), stream);
    stream.synchronize();  // `there` ends here
    return packed;
  }

  const ModelSource& source_;
  const precision::Plan& plan_;
  ops::Context& context_;
  const base::ProgressSink& progress_;
  models::Weights weights_;
  std::string assembled_name_;
  EncodedTensor assembled_;
  double total_ = 0.0;
  double done_ = 0.0;
};

}  // namespace

models::Weights load_weights(const ModelSource& source, const precision::Plan& plan,
                             ops::Context& context, const base::ProgressSink& progress) {
  return Loader(source, plan, context, progress).load();
}

}  // namespace assay::engine
