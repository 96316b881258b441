// The ledger of a CUDA graph: what is recorded at capture counts when the graph is launched.
#include <gtest/gtest.h>

#include "precision/plan.h"

namespace assay::precision {
namespace {

KernelIdentity on_device(std::string_view name, Activation activation = Activation::native) {
  return {.kernel = name, .activation = activation, .device = tensor::DeviceKind::cuda};
}

TEST(LedgerCapture, LaunchesCountNotTheCapture) {
  Ledger ledger;
  const int up = ledger.add_layer("up");
  const int down = ledger.add_layer("down");
  ledger.record(up, on_device("a"), 7);
  ledger.begin_capture();
  ledger.record(up, on_device("a"), 1);
  ledger.record(down, on_device("b"), 1);
  const auto calls = ledger.end_capture();
  ASSERT_EQ(ledger.entries().size(), 1U);
  EXPECT_EQ(ledger.entries()[0].calls, 1);
  ASSERT_EQ(calls.size(), 2U);
  for (int launch = 0; launch < 3; ++launch) ledger.replay(calls);
  ASSERT_EQ(ledger.entries().size(), 2U);
  EXPECT_EQ(ledger.entries()[0].calls, 4);
  EXPECT_EQ(ledger.entries()[0].rows_min, 1);
  EXPECT_EQ(ledger.entries()[0].rows_max, 7);
  EXPECT_EQ(ledger.entries()[1].calls, 3);
  ledger.clear();
  ledger.replay(calls);
  EXPECT_EQ(ledger.entries().size(), 2U);
}

TEST(LedgerCapture, ACancelledCaptureLeavesNothing) {
  Ledger ledger;
  const int up = ledger.add_layer("up");
  ledger.begin_capture();
  EXPECT_THROW(ledger.begin_capture(), Error);
  ledger.record(up, on_device("a"), 1);
  ledger.cancel_capture();
  EXPECT_TRUE(ledger.entries().empty());
  ledger.record(up, on_device("a"), 1);
  EXPECT_EQ(ledger.entries().size(), 1U);
}

TEST(LedgerCapture, OutlierColumnsGoToTheKernelThatLooksForThem) {
  Ledger ledger;
  const int up = ledger.add_layer("up");
  const int down = ledger.add_layer("down");
  EXPECT_THROW(ledger.add_outlier_columns(up, 1), Error);
  ledger.record(up, on_device("int8", Activation::int8_dynamic), 1);
  ledger.record(down, on_device("bf16"), 1);
  ledger.add_outlier_columns(up, 3);
  ledger.add_outlier_columns(up, 4);
  EXPECT_EQ(ledger.entries()[0].outlier_columns, 7);
  EXPECT_THROW(ledger.add_outlier_columns(down, 1), Error);
}

}  // namespace
}  // namespace assay::precision
