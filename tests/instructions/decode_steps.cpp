// Decodes so many tokens with a small random model on one thread: what callgrind counts
// (test_instructions.py).
//
//   decode_steps RECIPE STEPS
#include <cstdio>
#include <string>

#include "engine/wide_model.h"

namespace assay::testing {
namespace {

/// Wide enough that a step is multiplications in the main, narrow enough to be loaded under
/// callgrind in seconds.
constexpr WideShape kShape{.hidden = 256, .inner = 768, .vocabulary = 1024};
constexpr std::int64_t kPrompt = 64;

void run(const std::string& recipe, int steps) {
  const ScratchFolder folder;
  const auto model = load_model(write_wide_model(folder, kShape), recipe, 1);
  models::KvCache cache = model->make_cache(1, kPrompt + steps);
  const Tokens prompt = some_tokens(kPrompt);
  const engine::Sequence first{prompt, 0};
  TokenId next = model->decode_greedy({&first, 1}, cache).front();
  for (int i = 0; i < steps; ++i) {
    const engine::Sequence one{{&next, 1}, 0};
    next = model->decode_greedy({&one, 1}, cache).front();
  }
}

}  // namespace
}  // namespace assay::testing

int main(int argc, char** argv) {
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
