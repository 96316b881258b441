#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "tensor/tensor.h"

namespace assay::tensor {
namespace {

std::uintptr_t address(const Buffer& buffer) {
  return reinterpret_cast<std::uintptr_t>(buffer.data());
}

/// Whole huge pages lie in a large buffer from its first byte on.
TEST(Buffer, LargeOnesBeginOnHugePages) {
  constexpr std::size_t kHugePage = std::size_t{2} << 20;
  for (const std::size_t bytes : {kHugePage, kHugePage + 1, 5 * kHugePage - 64}) {
    Buffer buffer(bytes, true);
    EXPECT_EQ(address(buffer) % kHugePage, 0U) << bytes;
    EXPECT_TRUE(std::all_of(buffer.data(), buffer.data() + bytes,
                            [](std::byte b) { return b == std::byte{0}; }));
  }
  EXPECT_EQ(address(Buffer(100)) % 64, 0U);
}

TEST(Buffer, AccountsWhatIsOwned) {
  const std::int64_t before = allocation_stats().current;
  {
    Buffer small(100);
    Buffer large(std::size_t{3} << 20);
    EXPECT_EQ(allocation_stats().current - before, 128 + (3 << 20));
    small = std::move(large);
  }
  EXPECT_EQ(allocation_stats().current, before);
}

TEST(Buffer, LastingOnesLieBesideEachOther) {
  constexpr std::size_t kHugePage = std::size_t{2} << 20;
  const std::int64_t before = allocation_stats().current;
  {
    std::vector<Buffer> buffers;
    for (std::size_t i = 0; i < 100; ++i) {  // more than one set of pages
      buffers.push_back(Buffer::lasting(900'001));
      std::memset(buffers.back().data(), static_cast<int>(i), 900'001);
    }
    EXPECT_EQ(allocation_stats().current - before, 100 * 900'032);
    EXPECT_EQ(address(buffers[1]) - address(buffers[0]), 900'032U);
    buffers.erase(buffers.begin(), buffers.begin() + 50);
    for (std::size_t i = 0; i < 50; ++i) {
      EXPECT_EQ(address(buffers[i]) % 64, 0U);
      EXPECT_TRUE(std::all_of(buffers[i].data(), buffers[i].data() + 900'001,
                              [&](std::byte b) { return b == std::byte(50 + i); }));
      EXPECT_EQ(buffers[i].data()[900'001], std::byte{0});
    }
    EXPECT_EQ(address(Buffer::lasting(20 * kHugePage)) % kHugePage, 0U);
    EXPECT_EQ(Buffer::lasting(0).data(), nullptr);
  }
  EXPECT_EQ(allocation_stats().current, before);
}

TEST(Buffer, WhatCannotBeAllocatedIsAnError) {
  for (const std::size_t bytes :
       {SIZE_MAX, SIZE_MAX - 64, SIZE_MAX - (std::size_t{2} << 20), SIZE_MAX / 2}) {
    try {
      const Buffer buffer(bytes);
      FAIL() << bytes;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::out_of_memory);
    }
  }
}

}  // namespace
}  // namespace assay::tensor
