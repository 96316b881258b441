// One of the targets as libFuzzer calls it. Beside what the sanitizers see, it counts what a run
// allocates: in all, not only at once, so that work that grows faster than the input shows as well.
#include <sanitizer/allocator_interface.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "fuzz/target.h"

namespace {

constexpr std::size_t kFixedBytes = std::size_t{16} << 20;
constexpr std::size_t kBytesPerByte = 8192;

std::size_t allocated = 0;

void count(const volatile void* /*block*/, std::size_t size) { allocated += size; }
void ignore(const volatile void* /*block*/) {}

[[noreturn]] void report(std::size_t size) {
  std::fprintf(stderr, "allocated %zu bytes for an input of %zu\n", allocated, size);
  std::abort();
}

}  // namespace

// No stacks of allocations and a small quarantine: more runs in a second. A report that lacks where
// a block came from is had again with ASAN_OPTIONS=malloc_context_size=20.
extern "C" const char* __asan_default_options() {
  return "malloc_context_size=0:quarantine_size_mb=4:thread_local_quarantine_size_kb=64:"
         "detect_stack_use_after_return=0";
}

extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  return __sanitizer_install_malloc_and_free_hooks(count, ignore) == 0 ? 1 : 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  allocated = 0;
  static_cast<void>(assay::fuzz::outcome(assay::fuzz::ASSAY_FUZZ_TARGET,
                                         {reinterpret_cast<const char*>(data), size}));
  if (allocated > kFixedBytes + kBytesPerByte * size) report(size);
  return 0;
}
