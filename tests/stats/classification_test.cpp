#include "stats/classification.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace assay::stats {
namespace {

const std::vector<int> kExpected = {1, 0, 1, 1, 0, 2, 2, 1, 0, 0};
const std::vector<int> kPredicted = {1, 0, 0, 0, 1, 2, 0, 1, 0, 1};

// sklearn.metrics: confusion_matrix, accuracy_score and precision_recall_fscore_support
// (zero_division=0) of these two lists.
TEST(ConfusionMatrix, EqualsScikitLearn) {
  const ConfusionMatrix m(kExpected, kPredicted, 3);
  const int wanted[3][3] = {{2, 2, 0}, {2, 2, 0}, {1, 0, 1}};
  for (int e = 0; e < 3; ++e) {
    for (int p = 0; p < 3; ++p) EXPECT_EQ(m.count(e, p), wanted[e][p]) << e << " " << p;
  }
  EXPECT_EQ(m.total(), 10);
  EXPECT_EQ(m.correct(), 5);
  EXPECT_DOUBLE_EQ(m.accuracy(), 0.5);
  EXPECT_DOUBLE_EQ(m.precision(0), 0.4);
  EXPECT_DOUBLE_EQ(m.precision(), 0.5);
  EXPECT_DOUBLE_EQ(m.precision(2), 1.0);
  EXPECT_DOUBLE_EQ(m.recall(0), 0.5);
  EXPECT_DOUBLE_EQ(m.recall(), 0.5);
  EXPECT_DOUBLE_EQ(m.recall(2), 0.5);
  EXPECT_DOUBLE_EQ(m.f1(0), 0.4444444444444444);
  EXPECT_DOUBLE_EQ(m.f1(), 0.5);
  EXPECT_DOUBLE_EQ(m.f1(2), 0.6666666666666666);
}

TEST(ConfusionMatrix, EmptyDenominatorsAreZero) {
  ConfusionMatrix m(2);
  EXPECT_EQ(m.accuracy(), 0.0);
  m.add(0, 0);
  EXPECT_EQ(m.precision(), 0.0);
  EXPECT_EQ(m.recall(), 0.0);
  EXPECT_EQ(m.f1(), 0.0);
  EXPECT_EQ(m.accuracy(), 1.0);
}

TEST(ConfusionMatrix, RejectsWhatIsNoClass) {
  ConfusionMatrix m(2);
  EXPECT_THROW(m.add(2, 0), Error);
  EXPECT_THROW(m.add(0, -1), Error);
  EXPECT_THROW(ConfusionMatrix(0), Error);
  EXPECT_THROW(ConfusionMatrix(kExpected, std::vector<int>{1}, 3), Error);
}

}  // namespace
}  // namespace assay::stats
