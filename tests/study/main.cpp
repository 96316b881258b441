#include <gtest/gtest.h>
#include <stdlib.h>

#include <string_view>

#include "study/fake_cell.h"

/// The test is its own child process: run_study starts ASSAY_EXECUTABLE with the argument "cell".
int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "cell") return assay::testing::play_cell();
  ::setenv("ASSAY_EXECUTABLE", "/proc/self/exe", 1);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
