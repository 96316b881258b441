// CUDA devices that are none: the interface of kernels/cuda over the CPU's kernels, with "device
// memory" on the heap and graphs that are lists of closures. What runs above it - tables, copies,
// graphs, the ledger, placement - is the program's own. Two devices; work is done when it is
// queued, which no caller may rely on, and while capturing it is kept for the launches.
#include "engine_fake/fake_cuda.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <set>
#include <utility>
#include <vector>

#include "kernels/cpu/linear.h"
#include "kernels/cuda/elementwise.h"
#include "kernels/cuda/linear.h"

namespace assay::kernels::cuda {

using precision::Activation;
using precision::EncodedTensor;
using precision::Encoding;
using precision::KernelIdentity;
using tensor::DType;
using tensor::MatrixView;

namespace {

using Work = std::function<void()>;

std::set<const void*> pinned;  ///< starts of page-locked pieces

base::ThreadPool& pool() {
  static base::ThreadPool one(1);
  return one;
}

MatrixView host(MatrixView x) {
  x.device = {};
  return x;
}

void check_there(const MatrixView& x, const Stream& stream) {
  if (x.device == tensor::Device{tensor::DeviceKind::cuda, stream.device().index}) return;
  fail(ErrorCode::internal, "memory of {} in work of cuda:{}", tensor::to_string(x.device),
       stream.device().index);
}

}  // namespace

namespace {

struct QueueState {
  int device = 0;
  bool capturing = false;
  std::vector<Work> captured;
};

struct FakeGraph {
  std::vector<Work> work;
};

/// Does the work, or keeps it where a graph is captured.
void add(Stream& stream, Work work) {
  auto* state = static_cast<QueueState*>(stream.handle());
  if (state->capturing) {
    state->captured.push_back(std::move(work));
  } else {
    work();
  }
}

}  // namespace

struct Stream::State : QueueState {};

std::string_view name_of(Path path) noexcept {
  constexpr std::string_view kNames[] = {"sm75", "sm80", "sm90"};
  return kNames[static_cast<int>(path)];
}

const std::string& unavailable() {
  static const std::string none;
  return none;
}

const std::vector<DeviceInfo>& devices() {
  static const std::vector<DeviceInfo> two = [] {
    std::vector<DeviceInfo> list(2);
    for (int i = 0; i < 2; ++i) {
      list[std::size_t(i)] = {.index = i,
                              .name = "no device",
                              .uuid = "GPU-" + std::to_string(i),
                              .major = 9,
                              .minor = 0,
                              .multiprocessors = 1,
                              .memory = std::int64_t{1} << 34,
                              .path = Path::sm90};
    }
    return list;
  }();
  return two;
}

const DeviceInfo& device(int index) {
  if (index < 0 || index > 1) fail(ErrorCode::device_missing, "cuda:{}", index);
  return devices()[std::size_t(index)];
}

std::vector<Path> compiled_paths() { return {Path::sm90}; }
MemoryInfo memory_info(int) { return {std::int64_t{1} << 34, std::int64_t{1} << 34}; }

void install_allocator() {
  tensor::set_cuda_allocator(
      {.allocate =
           [](int, std::size_t bytes) {
             if (bytes > std::size_t{1} << 34) {
               fail(ErrorCode::out_of_memory, "{} bytes asked, {} free", bytes, 1ULL << 34);
             }
             if (fake::forbid_allocation) fail(ErrorCode::internal, "allocation while capturing");
             void* memory = std::malloc(bytes);
             std::memset(memory, 0xff, bytes);  // NaN to whoever reads too early
             return memory;
           },
       .release = [](int, void* memory) noexcept { std::free(memory); }});
}

Stream::Stream(int index) : state_(std::make_unique<State>()) {
  state_->device = cuda::device(index).index;
}
Stream::~Stream() = default;
const DeviceInfo& Stream::device() const { return cuda::device(state_->device); }
void* Stream::handle() const { return static_cast<QueueState*>(state_.get()); }
void Stream::synchronize() {
  if (state_->capturing) fail(ErrorCode::internal, "synchronization while capturing");
  ++fake::synchronizations;
}
void Stream::wait_for(Stream&) {}

void Stream::copy_to_device(void* to, const void* from, std::size_t bytes) {
  if (state_->capturing && !pinned.contains(from)) {
    fail(ErrorCode::internal, "a copy from pageable memory while capturing");
  }
  add(*this, [=] { std::memcpy(to, from, bytes); });
}
void Stream::copy_to_host(void* to, const void* from, std::size_t bytes) {
  fake::bytes_to_host += state_->capturing ? 0 : static_cast<std::int64_t>(bytes);
  if (state_->capturing && !pinned.contains(to)) {
    fail(ErrorCode::internal, "a copy to pageable memory while capturing");
  }
  add(*this, [=] { std::memcpy(to, from, bytes); });
}
void Stream::copy_on_device(void* to, const void* from, std::size_t bytes) {
  add(*this, [=] { std::memcpy(to, from, bytes); });
}
void Stream::copy_from(Stream& source, void* to, const void* from, std::size_t bytes) {
  if (source.device().index == device().index) fail(ErrorCode::internal, "the same device");
  add(*this, [=] { std::memcpy(to, from, bytes); });
}
void Stream::fill_bytes(void* memory, int value, std::size_t bytes) {
  add(*this, [=] { std::memset(memory, value, bytes); });
}
void Stream::begin_capture() {
  state_->capturing = true;
  fake::forbid_allocation = true;
  state_->captured.clear();
}
Graph Stream::end_capture() {
  state_->capturing = false;
  fake::forbid_allocation = false;
  Graph graph;
  graph.handle_ = new FakeGraph{std::move(state_->captured)};
  return graph;
}
bool Stream::capturing() const { return state_->capturing; }
void Stream::launch(const Graph& graph) {
  for (const Work& work : static_cast<FakeGraph*>(graph.handle_)->work) work();
}

Graph::Graph(Graph&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
Graph& Graph::operator=(Graph&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}
Graph::~Graph() { delete static_cast<FakeGraph*>(handle_); }

Event::Event(int index) : device_(index) {}
Event::~Event() = default;
void Event::record(Stream&) {}
void Event::synchronize() {}
double Event::milliseconds_since(const Event&) const { return 1.0; }

PinnedBuffer::PinnedBuffer(std::size_t bytes)
    : data_(static_cast<std::byte*>(std::malloc(bytes + 1))), size_(bytes) {
  pinned.insert(data_);
}
PinnedBuffer::PinnedBuffer(PinnedBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
PinnedBuffer& PinnedBuffer::operator=(PinnedBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}
PinnedBuffer::~PinnedBuffer() {
  pinned.erase(data_);
  std::free(data_);
}

// Row-wise operations.

void rms_norm(MatrixView x, const float* w, float eps, MatrixView y, Stream& stream) {
  check_there(x, stream);
  add(stream, [=] { cpu::rms_norm(host(x), {w, std::size_t(x.cols)}, eps, host(y), pool()); });
}
void layer_norm(MatrixView x, const float* w, const float* b, float eps, MatrixView y,
                Stream& stream) {
  check_there(x, stream);
  add(stream, [=] {
    const std::span<const float> bias =
        b == nullptr ? std::span<const float>() : std::span(b, std::size_t(x.cols));
    cpu::layer_norm(host(x), {w, std::size_t(x.cols)}, bias, eps, host(y), pool());
  });
}
void scale(MatrixView x, float factor, Stream& stream) {
  add(stream, [=] { cpu::scale(host(x), factor, pool()); });
}
void soft_cap(MatrixView x, float cap, Stream& stream) {
  add(stream, [=] { cpu::soft_cap(host(x), cap, pool()); });
}
void add_in_place(MatrixView x, MatrixView y, Stream& stream) {
  check_there(x, stream);
  check_there(y, stream);
  add(stream, [=] { cpu::add_in_place(host(x), host(y), pool()); });
}
void apply(UnaryFunction f, MatrixView x, Stream& stream) {
  add(stream, [=] { cpu::apply(f, host(x), pool()); });
}
void gated_product(UnaryFunction f, MatrixView gate, MatrixView up, Stream& stream) {
  add(stream, [=] { cpu::gated_product(f, host(gate), host(up), pool()); });
}
void clamped_swiglu(float, float, MatrixView, MatrixView, Stream&) {
  fail(ErrorCode::internal, "no experts here");
}
void add_scaled_rows(MatrixView, const std::int32_t*, const float*, MatrixView, Stream&) {
  fail(ErrorCode::internal, "no experts here");
}
void convert(MatrixView, MatrixView, Stream&) { fail(ErrorCode::internal, "convert"); }
void gather_rows(MatrixView x, const std::int32_t* index, MatrixView y, Stream& stream) {
  check_there(x, stream);
  check_there(y, stream);
  add(stream, [=] { cpu::gather_rows(host(x), {index, std::size_t(y.rows)}, host(y)); });
}
void rope(MatrixView x, const std::int32_t* positions, const float* frequencies, int count,
          std::int64_t head_dim, float magnitude, Stream& stream) {
  add(stream, [=] {
    cpu::rope(host(x), {positions, std::size_t(x.rows)}, {frequencies, std::size_t(count)},
              head_dim, pool(), magnitude);
  });
}

void append_to_cache(MatrixView k, MatrixView v, const DeviceSequence* sequences,
                     const std::int32_t* row_sequence, const CacheView& cache, Stream& stream) {
  check_there(k, stream);
  add(stream, [=] {
    std::vector<float> row(std::size_t(k.cols));
    for (std::int64_t r = 0; r < k.rows; ++r) {
      const DeviceSequence& s = sequences[row_sequence[r]];
      const std::int64_t position = s.key_count - s.query_count + (r - s.query_begin);
      const std::int64_t at = s.slot * cache.slot_stride + position * cache.row_stride;
      for (const auto& [from, base] : {std::pair{k, cache.keys}, std::pair{v, cache.values}}) {
        tensor::load_row(host(from), r, row);
        tensor::store_row({static_cast<std::byte*>(base) + std::size_t(at) * size_of(cache.type),
                           cache.type, 1, k.cols, k.cols},
                          0, row);
      }
    }
  });
}

bool attention_supports(const AttentionCall&, const DeviceInfo&, std::string*) { return true; }

void attention(const AttentionCall& call, Stream& stream, Workspace&) {
  check_there(call.q, stream);
  add(stream, [call] {
    std::vector<cpu::AttentionSequence> sequences;
    for (int i = 0; i < call.sequence_count; ++i) {
      const DeviceSequence& s = call.sequences[i];
      if (s.query_count > call.most_queries || s.key_count > call.most_keys) {
        fail(ErrorCode::internal, "more queries or keys than the grid was made for");
      }
      const std::int64_t at =
          call.cached ? s.slot * call.cache.slot_stride : s.query_begin * call.cache.row_stride;
      const std::size_t bytes = std::size_t(at) * size_of(call.cache.type);
      sequences.push_back(
          {s.query_begin, s.query_count, static_cast<std::byte*>(call.cache.keys) + bytes,
           static_cast<std::byte*>(call.cache.values) + bytes, call.cache.row_stride, s.key_count});
    }
    cpu::Workspace workspace;
    cpu::attention({.q = host(call.q),
                    .out = host(call.out),
                    .kv = call.cache.type,
                    .heads = call.heads,
                    .kv_heads = call.kv_heads,
                    .head_dim = call.head_dim,
                    .scale = call.scale,
                    .soft_cap = call.soft_cap,
                    .causal = call.causal,
                    .window = call.window,
                    .sinks = call.sinks == nullptr ? std::span<const float>()
                                                   : std::span(call.sinks, std::size_t(call.heads)),
                    .sequences = sequences},
                   pool(), workspace);
  });
}

void note_non_finite(MatrixView x, std::int32_t* flag, Stream& stream) {
  check_there(x, stream);
  add(stream, [=] { *flag += cpu::all_finite(host(x)) ? 0 : 1; });
}
void row_statistics(MatrixView logits, std::int32_t* best, double* sums, Stream& stream) {
  check_there(logits, stream);
  add(stream, [=] {
    for (std::int64_t r = 0; r < logits.rows; ++r) {
      const std::span row(logits.row<float>(r), std::size_t(logits.cols));
      if (best != nullptr) best[r] = std::int32_t(cpu::argmax(row));
      if (sums != nullptr) sums[r] = cpu::log_sum_exp(row);
    }
  });
}
void draw_tokens(MatrixView logits, const Draw* draws, std::int32_t* tokens, Stream& stream) {
  check_there(logits, stream);
  add(stream, [=] {
    for (std::int64_t r = 0; r < logits.rows; ++r) {
      const std::span row(logits.row<float>(r), std::size_t(logits.cols));
      if (fake::spoil_logits) row[0] = NAN;
      tokens[r] = cpu::draw_token(row, draws[r]);
    }
  });
}
void gather_elements(MatrixView logits, const std::int32_t* rows, const std::int32_t* columns,
                     std::int64_t count, float* values, Stream& stream) {
  add(stream, [=] {
    for (std::int64_t i = 0; i < count; ++i) values[i] = logits.row<float>(rows[i])[columns[i]];
  });
}
void mean_rows(MatrixView x, const DeviceSequence* sequences, int count, bool normalize,
               MatrixView y, Stream& stream) {
  add(stream, [=] {
    std::vector<float> row(std::size_t(x.cols));
    for (int s = 0; s < count; ++s) {
      std::vector<double> sums(row.size());
      for (int r = 0; r < sequences[s].query_count; ++r) {
        tensor::load_row(host(x), sequences[s].query_begin + r, row);
        for (std::size_t j = 0; j < row.size(); ++j) sums[j] += row[j];
      }
      double norm = 0.0;
      for (double& sum : sums) {
        sum /= sequences[s].query_count;
        norm += sum * sum;
      }
      const double factor = normalize ? 1.0 / std::sqrt(norm) : 1.0;
      for (std::size_t j = 0; j < row.size(); ++j) row[j] = float(sums[j] * factor);
      tensor::store_row(host(y), s, row);
    }
  });
}

// Linear layers: the weight as it is encoded, packed for the CPU's kernel in every call.

namespace {

struct Offered {
  Encoding encoding;
  Activation activation;
  DType compute;
  const char* name;
};
constexpr Offered kOffered[] = {
    {Encoding::f32, Activation::native, DType::f32, "fake_fp32"},
    {Encoding::f16, Activation::native, DType::f16, "fake_fp16"},
    {Encoding::bf16, Activation::native, DType::bf16, "fake_bf16"},
    {Encoding::int8, Activation::int8_dynamic, DType::bf16, "fake_int8"},
    {Encoding::int8, Activation::native, DType::bf16, "fake_int8_bf16"},
    {Encoding::nf4, Activation::native, DType::bf16, "fake_nf4_bf16"}};
constexpr int kCount = std::size(kOffered);

KernelIdentity identity_of(int i, bool lookup) {
  return {.kernel = kOffered[i].name,
          .encoding = kOffered[i].encoding,
          .activation = lookup ? Activation::native : kOffered[i].activation,
          .compute = kOffered[i].compute,
          .path = "sm90",
          .device = tensor::DeviceKind::cuda};
}

EncodedTensor encoded(const PackedWeight& weight, Encoding encoding) {
  EncodedTensor result;
  result.encoding = encoding;
  result.rows = weight.n;
  result.cols = weight.k;
  result.codes.bytes = {weight.codes.data(), weight.codes.size()};
  const auto* scales = weight.scales.as<float>();
  result.scales.assign(scales, scales + weight.scales.size() / sizeof(float));
  return result;
}

const cpu::LinearKernel& cpu_kernel(int i, std::int64_t n, std::int64_t k) {
  const cpu::LinearProblem problem{.encoding = kOffered[i].encoding,
                                   .activation = kOffered[i].activation,
                                   .compute = kOffered[i].compute,
                                   .n = n,
                                   .k = k};
  for (const cpu::LinearKernel& kernel : cpu::linear_kernels()) {
    if (kernel.identity.path == "portable" &&
        kernel.supports(problem, cpu::cpu_features(), nullptr)) {
      return kernel;
    }
  }
  fail(ErrorCode::internal, "{}", kOffered[i].name);
}

template <int I>
bool supports(const LinearProblem& problem, const DeviceInfo&, std::string* why) {
  const bool fits = problem.encoding == kOffered[I].encoding && !problem.double_quant &&
                    problem.activation == kOffered[I].activation &&
                    problem.compute == kOffered[I].compute;
  if (!fits && why != nullptr) *why = std::string("is not ") + kOffered[I].name;
  return fits;
}

PackedWeight pack(const EncodedTensor& weight, Stream& stream) {
  const tensor::Device there{tensor::DeviceKind::cuda, stream.device().index};
  std::vector<float> row(std::size_t(weight.cols));
  for (std::int64_t r = 0; r < weight.rows; ++r) {
    precision::info(weight.encoding).decode_row(weight, r, row);
    if (!std::ranges::all_of(row, [](float v) { return std::isfinite(v); })) {
      fail(ErrorCode::numeric, "row {} is not finite", r);
    }
  }
  PackedWeight packed{.n = weight.rows, .k = weight.cols, .device = there};
  packed.codes = tensor::Buffer(weight.codes.bytes.size(), there);
  std::memcpy(packed.codes.data(), weight.codes.bytes.data(), packed.codes.size());
  packed.scales = tensor::Buffer(weight.scales.size() * sizeof(float), there);
  if (!weight.scales.empty()) {
    std::memcpy(packed.scales.data(), weight.scales.data(), packed.scales.size());
  }
  return packed;
}

template <int I>
KernelIdentity run(LinearCall& call) {
  check_there(call.x, call.stream);
  check_there(call.y, call.stream);
  const PackedWeight* weight = &call.weight;
  const auto work = [weight, x = call.x, y = call.y, bias = call.bias, threshold = call.threshold,
                     counter = call.outlier_columns] {
    const cpu::LinearKernel& kernel = cpu_kernel(I, weight->n, weight->k);
    const cpu::PackedWeight packed = kernel.pack(encoded(*weight, kOffered[I].encoding), pool());
    cpu::Workspace workspace;
    cpu::LinearCall inner{.weight = packed,
                          .x = host(x),
                          .y = host(y),
                          .bias = bias == nullptr ? std::span<const float>()
                                                  : std::span(bias, std::size_t(weight->n)),
                          .threshold = threshold,
                          .pool = pool(),
                          .workspace = workspace};
    (void)kernel.run(inner);
    if (counter != nullptr) *counter += std::int32_t(inner.outlier_columns);
  };
  add(call.stream, work);
  return identity_of(I, false);
}

template <int I>
KernelIdentity lookup(const PackedWeight& weight, const std::int32_t* ids, MatrixView y,
                      Stream& stream) {
  check_there(y, stream);
  add(stream, [there = &weight, ids, y] {
    const EncodedTensor table = encoded(*there, kOffered[I].encoding);
    std::vector<float> row(std::size_t(table.cols));
    for (std::int64_t r = 0; r < y.rows; ++r) {
      precision::info(table.encoding).decode_row(table, ids[r], row);
      tensor::store_row(host(y), r, row);
    }
  });
  return identity_of(I, true);
}

template <int... I>
std::vector<LinearKernel> make_table(std::integer_sequence<int, I...>) {
  return {{identity_of(I, false), identity_of(I, true), supports<I>, pack, run<I>, lookup<I>}...};
}

}  // namespace

std::span<const LinearKernel> linear_kernels() {
  static const std::vector<LinearKernel> table =
      make_table(std::make_integer_sequence<int, kCount>());
  return table;
}

bool can_encode_on_device(Encoding encoding, bool double_quant) {
  return encoding != Encoding::q8_0 && !double_quant;
}

PackedWeight encode_on_device(MatrixView weight, Encoding encoding, bool, const LinearKernel&,
                              Stream& stream) {
  std::vector<float> values(std::size_t(weight.rows * weight.cols));
  for (std::int64_t r = 0; r < weight.rows; ++r) {
    tensor::load_row(
        host(weight), r,
        std::span(values).subspan(std::size_t(r * weight.cols), std::size_t(weight.cols)));
  }
  ++fake::encoded_on_device;
  return pack(precision::info(encoding).encode(values, weight.rows, weight.cols), stream);
}

PackedWeight synthesize_on_device(const precision::SyntheticTensor& tensor, Encoding encoding, bool,
                                  const LinearKernel&, Stream& stream) {
  const EncodedTensor made = precision::generate(tensor);
  std::vector<float> values(std::size_t(made.elements()));
  for (std::int64_t r = 0; r < made.rows; ++r) {
    precision::info(made.encoding)
        .decode_row(made, r,
                    std::span(values).subspan(std::size_t(r * made.cols), std::size_t(made.cols)));
  }
  ++fake::synthesized_on_device;
  return pack(precision::info(encoding).encode(values, made.rows, made.cols), stream);
}

namespace fake {

bool forbid_allocation = false;
bool spoil_logits = false;
std::int64_t synchronizations = 0;
std::int64_t bytes_to_host = 0;
std::int64_t encoded_on_device = 0;
std::int64_t synthesized_on_device = 0;

}  // namespace fake

}  // namespace assay::kernels::cuda
