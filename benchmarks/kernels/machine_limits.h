#pragma once

#include <string_view>

// What this machine can do at most, measured in the run whose results are held against it.
namespace assay::benchmarks {

/// Bytes a second that so many threads together read from memory: 512 MiB in huge pages, the best
/// of five passes.
[[nodiscard]] double read_bandwidth(int threads);

/// Units of an instruction set, by the instruction that its kernels multiply with.
enum class Unit { f32, int16, bf16, int8 };

/// Operations (two for each product and sum) a second of all threads with nothing but that
/// instruction on registers, the best of five; 0 where the instruction set has none. `path` is that
/// of a kernel's identity.
[[nodiscard]] double peak_operations(int threads, std::string_view path, Unit unit);

}  // namespace assay::benchmarks
