#include <gtest/gtest.h>

#include "base/error.h"
#include "kernels/cuda/elementwise.h"
#include "kernels/cuda/linear.h"

namespace assay::kernels::cuda {
namespace {

template <typename F>
ErrorCode code_of(const F& f) {
  try {
    f();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("built without CUDA"), std::string::npos) << e.what();
    return e.code();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorCode::internal;
}

TEST(NoCuda, SaysSoEverywhere) {
  EXPECT_EQ(unavailable(), "built without CUDA");
  EXPECT_TRUE(devices().empty());
  EXPECT_TRUE(compiled_paths().empty());
  EXPECT_TRUE(linear_kernels().empty());
  std::string why;
  EXPECT_FALSE(attention_supports({}, {}, &why));
  EXPECT_EQ(why, unavailable());
  EXPECT_EQ(code_of([] { (void)device(0); }), ErrorCode::device_missing);
  EXPECT_EQ(code_of([] { Stream stream(0); }), ErrorCode::device_missing);
  EXPECT_EQ(code_of([] { Event event(1); }), ErrorCode::device_missing);
  EXPECT_EQ(code_of([] { PinnedBuffer buffer(1); }), ErrorCode::unsupported);
  EXPECT_EQ(code_of([] { (void)memory_info(0); }), ErrorCode::device_missing);
  EXPECT_FALSE(static_cast<bool>(Graph()));
}

}  // namespace
}  // namespace assay::kernels::cuda
