#include "kernels/cuda/witness.h"

#include "base/error.h"

#if __has_include(<cupti.h>)
#include <cupti.h>
#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <new>

namespace assay::kernels::cuda {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{4} << 20;
constexpr std::align_val_t kBufferAlignment{8};  // what CUPTI asks for

std::vector<std::string> candidates() {
  std::vector<std::string> files;
  if (const char* named = std::getenv("ASSAY_CUPTI"); named != nullptr) files.emplace_back(named);
  const std::string name = fmt::format("libcupti.so.{}", CUPTI_API_VERSION / 10000);
  files.push_back(name);
  files.push_back("/usr/local/cuda/extras/CUPTI/lib64/" + name);
  files.push_back("/usr/local/cuda/lib64/" + name);
  if (const char* environment = std::getenv("VIRTUAL_ENV"); environment != nullptr) {
    std::error_code ignored;
    for (std::filesystem::recursive_directory_iterator
             at(std::filesystem::path(environment) / "lib", ignored),
         end;
         at != end; at.increment(ignored)) {
      if (at->path().filename() == name) files.push_back(at->path().string());
      // site-packages/nvidia/cu13/lib/libcupti.so.13 is the deepest.
      const auto folder = at->path().filename();
      if (at.depth() == 2 && folder != "nvidia") at.disable_recursion_pending();
    }
  }
  return files;
}

struct Cupti {
  void* library = nullptr;
  std::string problem;
  decltype(&::cuptiActivityRegisterCallbacks) register_callbacks = nullptr;
  decltype(&::cuptiActivityEnable) enable = nullptr;
  decltype(&::cuptiActivityDisable) disable = nullptr;
  decltype(&::cuptiActivityFlushAll) flush = nullptr;
  decltype(&::cuptiActivityGetNextRecord) next = nullptr;
  decltype(&::cuptiActivityGetNumDroppedRecords) dropped = nullptr;
  decltype(&::cuptiGetVersion) version = nullptr;
  decltype(&::cuptiGetResultString) words = nullptr;

  Cupti() {
    for (const std::string& file : candidates())
      if (library == nullptr) library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      problem = fmt::format("libcupti.so.{} is not found; ASSAY_CUPTI names it",
                            CUPTI_API_VERSION / 10000);
      return;
    }
    const bool complete =
        find(register_callbacks, "cuptiActivityRegisterCallbacks") &&
        find(enable, "cuptiActivityEnable") && find(disable, "cuptiActivityDisable") &&
        find(flush, "cuptiActivityFlushAll") && find(next, "cuptiActivityGetNextRecord") &&
        find(dropped, "cuptiActivityGetNumDroppedRecords") && find(version, "cuptiGetVersion") &&
        find(words, "cuptiGetResultString");
    std::uint32_t found = 0;
    if (!complete || version(&found) != CUPTI_SUCCESS) {
      problem = "libcupti lacks functions";
    } else if (found / 10000 != CUPTI_API_VERSION / 10000) {
      problem =
          fmt::format("libcupti has version {}, this build knows {}", found, CUPTI_API_VERSION);
    }
  }

 private:
  template <typename F>
  bool find(F& function, const char* name) {
    function = reinterpret_cast<F>(dlsym(library, name));
    return function != nullptr;
  }
};

const Cupti& cupti() {
  static const Cupti opened;
  return opened;
}

void check(CUptiResult result, const char* doing) {
  if (result == CUPTI_SUCCESS) return;
  const char* words = nullptr;
  (void)cupti().words(result, &words);
  fail(ErrorCode::internal, "CUPTI: {}: {}", doing, words == nullptr ? "unknown error" : words);
}

/// What CUPTI's thread has handed over.
struct Records {
  std::mutex mutex;
  std::map<std::string, std::int64_t> launches;
  std::int64_t lost = 0;
  bool witnessed = false;
};
Records& records() {
  static Records all;
  return all;
}

void give_buffer(std::uint8_t** buffer, std::size_t* size, std::size_t* most) {
  *buffer =
      static_cast<std::uint8_t*>(::operator new(kBufferBytes, kBufferAlignment, std::nothrow));
  *size = *buffer == nullptr ? 0 : kBufferBytes;
  *most = 0;
}

/// Called by CUPTI, on a thread of its own: no exception may leave.
void take_buffer(CUcontext context, std::uint32_t stream, std::uint8_t* buffer, std::size_t,
                 std::size_t valid) try {
  Records& all = records();
  const std::lock_guard lock(all.mutex);
  CUpti_Activity* record = nullptr;
  while (valid > 0 && cupti().next(buffer, valid, &record) == CUPTI_SUCCESS) {
    if (record->kind != CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL) continue;
    // Later versions of the record begin as this one does.
    ++all.launches[reinterpret_cast<const CUpti_ActivityKernel9*>(record)->name];
  }
  std::size_t lost = 0;
  if (cupti().dropped(context, stream, &lost) == CUPTI_SUCCESS)
    all.lost += static_cast<std::int64_t>(lost);
  ::operator delete(buffer, kBufferAlignment);
} catch (...) {
  ++records().lost;
}

}  // namespace

const std::string& Witness::unavailable() { return cupti().problem; }

Witness::Witness() {
  if (!unavailable().empty()) fail(ErrorCode::unsupported, "{}", unavailable());
  Records& all = records();
  {
    const std::lock_guard lock(all.mutex);
    if (all.witnessed) fail(ErrorCode::internal, "two witnesses at a time");
    all.witnessed = true;
    all.launches.clear();
    all.lost = 0;
  }
  check(cupti().register_callbacks(give_buffer, take_buffer), "registering");
  check(cupti().enable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL), "recording kernels");
}

Witness::~Witness() {
  (void)cupti().flush(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED);
  (void)cupti().disable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL);
  const std::lock_guard lock(records().mutex);
  records().witnessed = false;
}

std::vector<WitnessedKernel> Witness::seen() {
  check(cupti().flush(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED), "collecting");
  Records& all = records();
  const std::lock_guard lock(all.mutex);
  if (all.lost > 0) fail(ErrorCode::internal, "CUPTI lost {} records", all.lost);
  std::vector<WitnessedKernel> kernels;
  for (const auto& [name, launches] : all.launches) kernels.push_back({name, launches});
  return kernels;
}

}  // namespace assay::kernels::cuda

#else

namespace assay::kernels::cuda {

const std::string& Witness::unavailable() {
  static const std::string reason = "built without CUPTI's headers";
  return reason;
}
Witness::Witness() { fail(ErrorCode::unsupported, "{}", unavailable()); }
Witness::~Witness() = default;
std::vector<WitnessedKernel> Witness::seen() { return {}; }

}  // namespace assay::kernels::cuda
#endif
