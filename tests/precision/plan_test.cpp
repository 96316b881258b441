#include "precision/plan.h"

#include <gtest/gtest.h>

#include "precision/model.h"

namespace assay::precision {
namespace {

using tensor::DType;

KernelIdentity kernel(std::string_view name, Encoding encoding = Encoding::bf16,
                      DType compute = DType::bf16) {
  return {.kernel = name,
          .encoding = encoding,
          .activation = Activation::native,
          .compute = compute,
          .accumulate = "fp32",
          .path = "portable",
          .device = tensor::DeviceKind::cpu};
}

Plan plan_of(const std::vector<LayerInfo>& model) {
  Plan plan;
  plan.recipe = "bf16";
  plan.source = "fp32";
  for (const LayerInfo& l : model) {
    plan.entries.push_back({.layer = l,
                            .precision = parse_precision("bf16", "test"),
                            .kernel = kernel(l.lookup ? "lookup_bf16" : "linear_bf16"),
                            .reason = "",
                            .fallback = false});
  }
  return plan;
}

/// Runs the plan once: every launcher records what the plan promised.
void run(const Plan& plan, Ledger& ledger, std::int64_t rows) {
  for (const PlanEntry& entry : plan.entries) {
    if (!entry.reason.empty()) continue;
    ledger.record(ledger.add_layer(entry.layer.name), entry.kernel, rows);
  }
}

TEST(Ledger, CountsCallsAndRows) {
  Ledger ledger;
  const int a = ledger.add_layer("a");
  const int b = ledger.add_layer("b");
  EXPECT_EQ(ledger.add_layer("a"), a);
  ledger.record(a, kernel("x"), 7);
  ledger.record(b, kernel("x"), 1);
  ledger.record(a, kernel("x"), 1, 3);
  ledger.record(a, kernel("y"), 5, 2);
  ledger.record(a, kernel("x"), 9, 1);
  ASSERT_EQ(ledger.entries().size(), 3U);
  const Ledger::Entry& first = ledger.entries()[0];
  EXPECT_EQ(first.layer, "a");
  EXPECT_EQ(first.calls, 3);
  EXPECT_EQ(first.rows_min, 1);
  EXPECT_EQ(first.rows_max, 9);
  EXPECT_EQ(first.outlier_columns, 4);
  EXPECT_EQ(ledger.entries()[1].layer, "b");
  EXPECT_EQ(ledger.entries()[1].calls, 1);
  EXPECT_EQ(ledger.entries()[2].kernel.kernel, "y");
  EXPECT_EQ(ledger.to_json().size(), 3U);
  EXPECT_EQ(ledger.to_json()[0].at("rows_max"), 9);

  ledger.clear();
  EXPECT_TRUE(ledger.entries().empty());
  ledger.record(b, kernel("x"), 2);
  EXPECT_EQ(ledger.entries().at(0).layer, "b");
  EXPECT_THROW(ledger.record(2, kernel("x"), 1), Error);
  EXPECT_THROW(ledger.record(-1, kernel("x"), 1), Error);
}

TEST(Compare, AgreementIsEmpty) {
  const Plan plan = plan_of(llama(3));
  Ledger ledger;
  run(plan, ledger, 5);
  run(plan, ledger, 1);
  EXPECT_EQ(compare(plan, ledger), "");
}

TEST(Compare, SeesALayerThatDidNotRun) {
  const Plan plan = plan_of(llama(2));
  Ledger ledger;
  EXPECT_EQ(compare(plan, ledger),
            "model.embed_tokens did not run; model.layers.0.self_attn.q_proj did not run; "
            "model.layers.0.self_attn.k_proj did not run; 13 more");
  Plan shorter = plan;
  shorter.entries.pop_back();
  run(shorter, ledger, 1);
  EXPECT_EQ(compare(plan, ledger), "lm_head did not run");
  EXPECT_EQ(compare(shorter, ledger), "");
}

/// Each field of the identity, swapped in one call of one layer, is seen.
TEST(Compare, SeesEveryDifferenceOfTheKernel) {
  const Plan plan = plan_of(llama(2));
  const KernelIdentity planned = plan.entries[3].kernel;
  std::vector<std::pair<std::string, KernelIdentity>> swaps(7, {"", planned});
  swaps[0] = {"kernel linear_fast instead of linear_bf16", planned};
  swaps[0].second.kernel = "linear_fast";
  swaps[1] = {"compute fp16 instead of bf16", planned};
  swaps[1].second.compute = DType::f16;
  swaps[2] = {"encoding int8 instead of bf16", planned};
  swaps[2].second.encoding = Encoding::int8;
  swaps[3] = {"activation int8_dynamic instead of native", planned};
  swaps[3].second.activation = Activation::int8_dynamic;
  swaps[4] = {"accumulate int32 instead of fp32", planned};
  swaps[4].second.accumulate = "int32";
  swaps[5] = {"path avx2 instead of portable", planned};
  swaps[5].second.path = "avx2";
  swaps[6] = {"device cuda instead of cpu", planned};
  swaps[6].second.device = tensor::DeviceKind::cuda;
  for (const auto& [text, swapped] : swaps) {
    Ledger ledger;
    run(plan, ledger, 4);
    ASSERT_EQ(compare(plan, ledger), "");
    ledger.record(ledger.add_layer(plan.entries[3].layer.name), swapped, 4);
    EXPECT_EQ(compare(plan, ledger), plan.entries[3].layer.name + " ran " + text);
  }
}

TEST(Compare, SeesWhatWasNotPlanned) {
  const Plan plan = plan_of(llama(1));
  Ledger ledger;
  run(plan, ledger, 1);
  ledger.record(ledger.add_layer("model.layers.1.mlp.up_proj"), kernel("linear_bf16"), 1);
  EXPECT_EQ(compare(plan, ledger), "model.layers.1.mlp.up_proj ran but is not in the plan");
}

TEST(Compare, SeesAnUnsupportedLayerThatRan) {
  Plan plan = plan_of(llama(1));
  Ledger ledger;
  run(plan, ledger, 1);
  plan.entries.back().reason = "no kernel";
  EXPECT_EQ(compare(plan, ledger), "lm_head ran though it is unsupported");
}

TEST(Summarize, FoldsLayersOfOneKernel) {
  const auto model = llama(30);
  const Plan plan = plan_of(model);
  Ledger ledger;
  run(plan, ledger, 512);
  run(plan, ledger, 1);
  ledger.record(ledger.add_layer("model.layers.4.mlp.up_proj"), kernel("linear_other"), 8);
  const Json rows = summarize(ledger);
  // The table, seven projections, the head, and the one call by another kernel.
  ASSERT_EQ(rows.size(), 10U);
  EXPECT_EQ(rows[0].at("layer"), "model.embed_tokens");
  const Json& down = rows[7];
  EXPECT_EQ(down.at("layer"), "model.layers.*.mlp.down_proj");
  EXPECT_EQ(down.at("layers"), 30);
  EXPECT_EQ(down.at("calls"), 60);
  EXPECT_EQ(down.at("encoding"), "bf16");
  EXPECT_EQ(down.at("compute"), "bf16");
  EXPECT_EQ(down.at("rows_min"), 1);
  EXPECT_EQ(down.at("rows_max"), 512);
  EXPECT_FALSE(down.contains("outlier_columns"));
  EXPECT_EQ(rows[9].at("layer"), "model.layers.4.mlp.up_proj");
  EXPECT_EQ(rows[9].at("kernel"), "linear_other");
}

TEST(Plan, ReasonsInOneLine) {
  Plan plan = plan_of(llama(2));
  EXPECT_TRUE(plan.supported());
  EXPECT_EQ(plan.reasons(), "");
  plan.entries[1].reason = plan.entries[2].reason = plan.entries[3].reason = "no int8 kernel";
  EXPECT_FALSE(plan.supported());
  EXPECT_EQ(plan.reasons(), "model.layers.0.self_attn.q_proj and 2 more: no int8 kernel");
  plan.entries[4].reason = "rows of 33";
  plan.entries[5].reason = "no calibration";
  EXPECT_EQ(plan.reasons(),
            "model.layers.0.self_attn.q_proj and 2 more: no int8 kernel; "
            "model.layers.0.self_attn.o_proj: rows of 33; 1 other reasons");
}

TEST(Plan, HashIsOfWhatRuns) {
  const Plan plan = plan_of(llama(2));
  EXPECT_EQ(plan.hash().size(), 64U);
  Plan other = plan;
  other.recipe = "another name";
  other.notices = {"for people"};
  EXPECT_EQ(other.hash(), plan.hash());

  std::vector<Plan> changed(7, plan);
  changed[0].entries[2].kernel.path = "avx2";
  changed[1].kv = DType::bf16;
  changed[2].entries[1].device.kind = tensor::DeviceKind::cuda;
  changed[3].entries.pop_back();
  changed[4].entries[1].reason = "no kernel";
  changed[5].entries[1].fallback = true;
  changed[6].source = "q4_1";
  for (const Plan& p : changed) EXPECT_NE(p.hash(), plan.hash());
}

TEST(Plan, JsonHoldsEveryLayer) {
  Plan plan = plan_of(llama(2));
  plan.entries[1].reason = "no kernel";
  const Json json = plan.to_json();
  ASSERT_EQ(json.at("entries").size(), plan.entries.size());
  EXPECT_EQ(json.at("entries")[0].at("kernel").at("kernel"), "lookup_bf16");
  EXPECT_EQ(json.at("entries")[1].at("reason"), "no kernel");
  EXPECT_FALSE(json.at("entries")[1].contains("kernel"));
  EXPECT_EQ(json.at("device"), "cpu");
}

}  // namespace
}  // namespace assay::precision
