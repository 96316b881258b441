#include "base/names.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace assay::base {
namespace {

using Names = std::vector<std::string>;

TEST(NearNames, BestFirstAndNoMoreThanAsked) {
  const Names known = {"fp32", "fp16", "bf16", "int8", "int8-weight-only", "nf4", "fp4", "q4_0"};
  EXPECT_EQ(near_names("fp61", known, 1), Names{"fp16"});  // a swap is one edit
  EXPECT_EQ(near_names("int4", known, 1), Names{"int8"});
  EXPECT_EQ(near_names("NF4", known, 1), Names{"nf4"});
  EXPECT_EQ(near_names("fp8", known, 2), (Names{"fp4", "fp32"}));
  EXPECT_EQ(near_names("fp8", known, 3).size(), 3U);
  EXPECT_TRUE(near_names("fp8", known, 0).empty());
}

TEST(NearNames, NothingWhereNothingIsNear) {
  const Names known = {"attention", "mlp", "embeddings", "head"};
  EXPECT_TRUE(near_names("xyzzyxyzzy", known).empty());
  EXPECT_TRUE(near_names("", known).empty());
  EXPECT_TRUE(near_names("mlp", {}).empty());
}

TEST(NearNames, APartOfANameIsNear) {
  const Names known = {"model.layers.0.mlp.down_proj", "lm_head"};
  EXPECT_EQ(near_names("down_proj", known), Names{known[0]});
}

TEST(NearNames, LongNamesStayCheap) {
  const Names known(2000, std::string(1'000'000, 'a').substr(0, 100'000));
  EXPECT_EQ(near_names(std::string(100'000, 'a'), known, 1).size(), 1U);
}

TEST(DidYouMean, ReadsAsASentence) {
  EXPECT_EQ(did_you_mean("atention", Names{"attention"}), "; did you mean attention?");
  EXPECT_EQ(did_you_mean("aa1", Names{"aa2", "aa3"}), "; did you mean aa2 or aa3?");
  EXPECT_EQ(did_you_mean("aa1", Names{"aa2", "aa3", "aa4", "aa5"}),
            "; did you mean aa2, aa3 or aa4?");
  EXPECT_EQ(did_you_mean("aa1", Names{"zzzzz"}), "");
  EXPECT_EQ(did_you_mean("a\nb", Names{"a\nc"}), "; did you mean a\\nc?");
}

}  // namespace
}  // namespace assay::base
