#pragma once

// The Highway targets that are built: its baseline (portable), AVX2 and AVX-512. Included before
// any header of Highway's. What is above has folders of its own.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
