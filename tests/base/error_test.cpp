#include "base/error.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

TEST(Error, CarriesCodeAndFormattedMessage) {
  try {
    fail(ErrorCode::bad_data, "{}: tensor {} ends at byte {}", "a.gguf", "w", 17);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_data);
    EXPECT_STREQ(error.what(), "a.gguf: tensor w ends at byte 17");
    return;
  }
  FAIL() << "fail() returned";
}

TEST(Error, ExitCodesAreTheDocumentedOnes) {
  EXPECT_EQ(exit_code(ErrorCode::usage), 2);
  EXPECT_EQ(exit_code(ErrorCode::bad_data), 65);
  EXPECT_EQ(exit_code(ErrorCode::device_missing), 69);
  EXPECT_EQ(exit_code(ErrorCode::unsupported), 69);
  EXPECT_EQ(exit_code(ErrorCode::io), 74);
  EXPECT_EQ(exit_code(ErrorCode::interrupted), 130);
  EXPECT_EQ(exit_code(ErrorCode::out_of_memory), 1);
  EXPECT_EQ(exit_code(ErrorCode::numeric), 1);
  EXPECT_EQ(exit_code(ErrorCode::internal), 1);
}

TEST(Error, CellStatusSaysWhatHappened) {
  EXPECT_EQ(cell_status(ErrorCode::unsupported), "unsupported");
  EXPECT_EQ(cell_status(ErrorCode::device_missing), "unsupported");
  EXPECT_EQ(cell_status(ErrorCode::out_of_memory), "oom");
  EXPECT_EQ(cell_status(ErrorCode::interrupted), "interrupted");
  EXPECT_EQ(cell_status(ErrorCode::numeric), "failed");
  EXPECT_EQ(cell_status(ErrorCode::bad_data), "failed");
}

}  // namespace
}  // namespace assay
