#pragma once

// Instruction sets that Highway compiles the linear kernels for: before any Highway header. The
// portable one is a single lane, whatever the compiler's version.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#define HWY_BROKEN_EMU128 1
