// Decodes so many tokens with a small random model on one thread, and has callgrind count them
// alone (--instr-atstart=no; test_instructions.py): loading takes far longer.
//
//   decode_steps RECIPE STEPS
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#define ASSAY_COUNTED 1
#else
#define ASSAY_COUNTED 0
#define CALLGRIND_START_INSTRUMENTATION
#define CALLGRIND_STOP_INSTRUMENTATION
#endif

#include <cstdio>
#include <string>

#include "engine/wide_model.h"

namespace assay::testing {
namespace {

/// Wide enough that a step is multiplications in the main, narrow enough to be loaded under
/// callgrind in seconds.
constexpr WideShape kShape{.hidden = 256, .inner = 768, .vocabulary = 1024};
constexpr std::int64_t kPrompt = 64;
constexpr int kFirst = 2;  ///< steps that allocate

void run(const std::string& recipe, int steps) {
  const ScratchFolder folder;
  const auto model = load_model(write_wide_model(folder, kShape), recipe, 1);
  models::KvCache cache = model->make_cache(1, kPrompt + kFirst + steps);
  const Tokens prompt = some_tokens(kPrompt);
  const engine::Sequence first{prompt, 0};
  TokenId next = model->decode_greedy({&first, 1}, cache).front();
  for (int i = 0; i < kFirst + steps; ++i) {
    if (i == kFirst) CALLGRIND_START_INSTRUMENTATION;
    const engine::Sequence one{{&next, 1}, 0};
    next = model->decode_greedy({&one, 1}, cache).front();
  }
  CALLGRIND_STOP_INSTRUMENTATION;
}

}  // namespace
}  // namespace assay::testing

int main(int argc, char** argv) {
  if (ASSAY_COUNTED == 0) {
    std::fputs("built without valgrind/callgrind.h: nothing would be counted\n", stderr);
    return 3;
  }
  if (argc != 3) {
    std::fputs("usage: decode_steps RECIPE STEPS\n", stderr);
    return 2;
  }
  try {
    assay::testing::run(argv[1], std::stoi(argv[2]));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
