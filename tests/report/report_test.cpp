#include "report/report.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "report/layout.h"
#include "report/words.h"

namespace assay::report {
namespace {

using study::StoredCell;

Json rate(double value, double spread) {
  return {{"value", value}, {"unit", "tokens/s"}, {"ci95", {value - spread, value + spread}}};
}

/// A decoder's cell with one prompt row, one decoding row and fidelity; figures are made up.
struct Made {
  std::string recipe;
  std::string encoding;
  double prompt = 0;
  double decode = 0;
  double spread = 0.1;
  double bytes = 0;
  Json kl = nullptr;
  Json proved = true;
  std::string name;
};

Json row_of(const Made& made, const std::string& test, const Json& metrics) {
  return {{"model", "Small"},
          {"source", "q4_1"},
          {"recipe", made.recipe},
          {"device", "cpu"},
          {"status", made.proved == Json(false) ? "invalid" : "ok"},
          {"reason", ""},
          {"proved", made.proved},
          {"fallback", false},
          {"test", test},
          {"metrics", metrics},
          {"executed",
           {{{"layer", "model.layers.*.mlp"},
             {"layers", 30},
             {"encoding", made.encoding},
             {"compute", "bf16"},
             {"kernel", "linear_" + made.encoding},
             {"calls", 90}}}},
          {"samples", {0.5}}};
}

StoredCell cell_of(const Made& made) {
  const Json energy = {{"value", nullptr}, {"reason", "no meter"}};
  StoredCell cell{.key = "key-" + made.recipe, .id = "small/" + made.recipe, .status = "ok"};
  cell.cell = {{"model", "/models/small.gguf"},
               {"recipe_name", made.name.empty() ? made.recipe : made.name},
               {"device", "cpu"}};
  cell.plan = {{"model", "Small"},
               {"parameters", 134.5e6},
               {"plan_hash", "hash-" + made.recipe},
               {"plan", {{"recipe", made.recipe}, {"source", "q4_1"}, {"source_quantized", true}}}};
  cell.environment = {{"cpu", "X"}, {"isa", "avx2"}, {"source_hash", "0123456789"}};
  cell.rows = {row_of(made, "pp8",
                      {{"tokens_per_second", rate(made.prompt, made.spread)},
                       {"weight_bytes", {{"value", made.bytes}, {"unit", "B"}}},
                       {"energy_net", energy}}),
               row_of(made, "tg4", {{"tokens_per_second", rate(made.decode, made.spread)}})};
  if (made.kl.is_number()) {
    cell.rows.push_back(row_of(made, "fidelity",
                               {{"kl_divergence", {{"value", made.kl}, {"unit", "nats/token"}}},
                                {"top1_agreement", {{"value", 0.971}, {"unit", "1"}}}}));
  } else if (made.kl.is_string()) {
    cell.rows.push_back(
        row_of(made, "fidelity", {{"kl_divergence", {{"value", nullptr}, {"reason", made.kl}}}}));
  }
  return cell;
}

StoredCell failed(const std::string& recipe, const std::string& status, const std::string& reason) {
  StoredCell cell{.key = "k", .id = "small/" + recipe, .status = status, .reason = reason};
  cell.cell = {{"model", "/models/small.gguf"}, {"recipe_name", recipe}, {"device", "cuda"}};
  return cell;
}

std::vector<StoredCell> example() {
  return {cell_of({"bf16 (from q4_1)", "bf16", 500, 40, 0.5, 270e6, 0.0, true, "bf16"}),
          cell_of({"int8", "int8", 900, 56, 0.5, 140e6, 0.0123}),
          cell_of({"double", "bf16", 510, 40.3, 0.5, 270e6, 0.0}),
          cell_of({"nf4", "nf4", 300, 20, 0.5, 90e6, 0.2}),
          cell_of({"q4_1 (stored)", "q4_1", 600, 80, 0.5, 85e6, "its own dequantization"}),
          failed("fp8", "unsupported", "no kernel for fp8")};
}

constexpr const char* kTable =
    R"(Small: 134.5 M parameters, stored as q4_1 (what q4_1 lost against its original is not in these figures)
recipe            runs on  proved     size   pp8 t/s    tg4 t/s  speedup tg4  fidelity                energy  verdict
----------------  -------  ------  -------  --------  ---------  -----------  ----------------------  ------  -------------------------------------------
bf16 (from q4_1)  cpu      yes      270 MB  500 ±0.5  40.0 ±0.5           1x  KL 0, top-1 97.1 %      —¹      baseline
int8              cpu      yes      140 MB  900 ±0.5  56.0 ±0.5        1.40x  KL 0.012, top-1 97.1 %  —¹      1.4x faster, 1.9x smaller, KL 0.012
double            cpu      yes      270 MB  510 ±0.5  40.3 ±0.5       ~1.0x²  KL 0, top-1 97.1 %      —¹      as fast as bf16, KL 0
nf4               cpu      yes     90.0 MB  300 ±0.5  20.0 ±0.5        0.50x  KL 0.2, top-1 97.1 %    —¹      2.0x slower than bf16, 3.0x smaller, KL 0.2
q4_1 (stored)     cpu      yes     85.0 MB  600 ±0.5  80.0 ±0.5        2.00x  —³                      —¹      2.0x faster, 3.2x smaller
fp8               cuda     —                                                                                  not measured: no kernel for fp8
¹ no meter
² within noise: the 95 % intervals of the two medians overlap
³ its own dequantization
)";

TEST(Table, ShowsOneLineACellWithAVerdict) { EXPECT_EQ(table(example(), false), kTable); }

/// The energy column is that of the test that speedups are of; what makes a row doubtful is marked.
TEST(Table, ShowsEnergyWithItsErrorAndMarksDoubtfulRows) {
  auto cells = example();
  cells.resize(2);
  cells[0].rows[1]["metrics"]["energy_net"] = {
      {"value", 0.0471}, {"unit", "J/token"}, {"error", 0.0012}};
  cells[1].rows[1]["metrics"]["energy_net"] = {
      {"value", 1.25}, {"unit", "J/token"}, {"error", 0.05}};
  cells[1].rows[1]["marks"] = {"cuda:0 was throttled meanwhile: power cap"};
  const std::string text = table(cells, false);
  EXPECT_NE(text.find("47.1 ±1.20 mJ/token"), std::string::npos) << text;
  EXPECT_NE(text.find("1.25 ±0.05 J/token"), std::string::npos) << text;
  EXPECT_NE(text.find("56.0 ±0.5¹"), std::string::npos) << text;
  EXPECT_NE(text.find("¹ cuda:0 was throttled meanwhile: power cap"), std::string::npos) << text;
  EXPECT_EQ(text.find("no meter"), std::string::npos) << "that is of another test";
  cells[0].rows[1]["iterations"] = {{"asked", 500}, {"ran", 812}};
  const std::string lines = csv(cells);
  EXPECT_NE(lines.find(",iterations_asked,iterations_ran"), std::string::npos) << lines;
  EXPECT_NE(lines.find(",500,812"), std::string::npos) << lines;
  EXPECT_NE(lines.find(",energy_net_error,energy_net_unit"), std::string::npos) << lines;
}

TEST(Table, AsMarkdownIsAGithubTable) {
  const auto cells = example();
  EXPECT_EQ(
      table({cells[0], cells[1]}, true),
      R"(**Small: 134.5 M parameters, stored as q4_1 (what q4_1 lost against its original is not in these figures)**

| recipe | runs on | proved | size | pp8 t/s | tg4 t/s | speedup tg4 | fidelity | energy | verdict |
| --- | --- | --- | ---: | ---: | ---: | ---: | --- | --- | --- |
| bf16 (from q4_1) | cpu | yes | 270 MB | 500 ±0.5 | 40.0 ±0.5 | 1x | KL 0, top-1 97.1 % | —¹ | baseline |
| int8 | cpu | yes | 140 MB | 900 ±0.5 | 56.0 ±0.5 | 1.40x | KL 0.012, top-1 97.1 % | —¹ | 1.4x faster, 1.9x smaller, KL 0.012 |

¹ no meter  
)");
}

/// Position, in columns of a terminal, at which the last column of each line starts.
std::vector<std::size_t> starts_of(const std::string& text, const std::vector<std::string>& last) {
  std::vector<std::size_t> starts;
  for (const auto& word : last) {
    const auto at = text.find("  " + word + "\n");
    if (at == std::string::npos) return {};
    const auto line = text.rfind('\n', at) + 1;
    starts.push_back(display_width(text.substr(line, at - line)));
  }
  return starts;
}

TEST(Table, LongAndForeignNamesKeepTheColumnsInLine) {
  auto cells = example();
  cells.resize(3);
  cells[1] = cell_of({std::string(90, 'x'), "int8", 900, 56, 0.5, 140e6, 0.0123});
  cells[2] = cell_of({"量化 été ｱ", "int8", 900, 80, 0.5, 140e6, 0.5});
  const std::string text = table(cells, false);
  const auto starts = starts_of(text, {"verdict", "baseline", "1.4x faster, 1.9x smaller, KL 0.012",
                                       "2.0x faster, 1.9x smaller, KL 0.5"});
  ASSERT_EQ(starts.size(), 4U) << text;
  for (const auto start : starts) EXPECT_EQ(start, starts[1]) << text;
}

TEST(Table, VerboseAddsKernelsAndHashes) {
  const std::string text = table(example(), false, true);
  EXPECT_EQ(text.find(kTable), 0U);
  EXPECT_NE(text.find("model.layers.*.mlp x30  int8      bf16     linear_int8     90"),
            std::string::npos);
  EXPECT_NE(text.find("int8: cell key-int8, plan hash-int8"), std::string::npos);
}

TEST(Table, NothingIsAnEmptyText) { EXPECT_EQ(table({}, false), ""); }

TEST(Table, ADisprovedRowIsNotToBeUsed) {
  auto cells = example();
  cells[1] = cell_of({"int8", "bf16", 900, 56, 0.5, 140e6, 0.01, false});
  cells[1].status = "invalid";
  cells[1].reason = "mlp: planned int8, ran bf16";
  const std::string text = table(cells, false);
  EXPECT_NE(text.find("int8              cpu      no"), std::string::npos) << text;
  EXPECT_NE(text.find("do not use: mlp: planned int8, ran bf16"), std::string::npos) << text;
  EXPECT_EQ(answer(cells).find("use int8"), std::string::npos);
}

TEST(Table, AFallbackIsMarkedAndNoBaseline) {
  auto cells = example();
  for (Json& row : cells[0].rows) row["fallback"] = true;
  const std::string text = table(cells, false);
  EXPECT_NE(text.find("cpu (fallback)"), std::string::npos);
  EXPECT_NE(text.find("fallback, left out of comparisons, as fast as double"), std::string::npos)
      << "the baseline is now the next plain row: " << text;
}

TEST(Table, ACellThatBrokeOffSaysSo) {
  auto cells = example();
  cells[1].status = "interrupted";
  cells[1].reason = "stopped by the user";
  EXPECT_NE(table(cells, false).find("incomplete (interrupted): stopped by the user"),
            std::string::npos);
  EXPECT_NE(table({failed("x", "oom", "an allocation failed")}, false)
                .find("not measured (oom): an allocation failed"),
            std::string::npos);
}

TEST(Table, ManyTestsGetATableOfTheirOwn) {
  auto cells = example();
  cells.resize(2);
  for (auto& cell : cells) {
    for (const char* test : {"pp16", "tg4@d8"}) {
      Json row = cell.rows[0];
      row["test"] = test;
      cell.rows.push_back(row);
    }
  }
  const std::string text = table(cells, false);
  EXPECT_EQ(text.find("pp16"), text.rfind("pp16"));
  EXPECT_NE(text.find("recipe             pp8 t/s    tg4 t/s  pp16 t/s  tg4@d8 t/s"),
            std::string::npos)
      << text;
}

TEST(Table, TheStudysBaselineIsUsed) {
  auto cells = example();
  for (auto& cell : cells) cell.cell["baseline"] = "int8";
  const std::string text = table(cells, false);
  EXPECT_NE(text.find("1.4x slower than int8"), std::string::npos) << text;
}

StoredCell encoder_cell(const std::string& recipe, const std::string& encoding, double time,
                        double cosine) {
  StoredCell cell = cell_of({recipe, encoding, 1, 1, 0, 20e6});
  cell.rows = {row_of({recipe, encoding}, "b1s8",
                      {{"latency",
                        {{"value", time}, {"unit", "ms"}, {"ci95", {time * 0.99, time * 1.01}}}}}),
               row_of({recipe, encoding}, "fidelity", {{"cosine", {{"value", cosine}}}}),
               row_of({recipe, encoding}, "sst2",
                      {{"acc", {{"value", 0.905}, {"unit", "1"}, {"stderr", 0.0066}}}})};
  return cell;
}

TEST(Table, OfAnEncoderShowsTimeCosineAndScores) {
  const std::vector<StoredCell> cells = {encoder_cell("fp32", "f32", 4.0, 1.0),
                                         encoder_cell("int8", "int8", 2.0, 0.99951)};
  const std::string text = table(cells, false);
  EXPECT_NE(text.find("b1s8 ms/sample"), std::string::npos) << text;
  EXPECT_NE(text.find("2.00x"), std::string::npos) << "half the time is twice the speed";
  EXPECT_NE(text.find("90.5 ±0.66 %"), std::string::npos);
  EXPECT_NE(text.find("2.0x faster, cos 0.99951"), std::string::npos);
  EXPECT_EQ(
      answer(cells),
      "Small: use int8 on cpu (2.00 ms a sample in b1s8; 2.0x faster, cos 0.99951); it is the "
      "fastest of 2 proved recipes whose cosine to fp32 is at least 0.999.");
}

/// What was cut from prompts or how a score came about stands under the table, once.
TEST(Table, NotesOfAScoreAreUnderIt) {
  std::vector<StoredCell> cells = {encoder_cell("fp32", "f32", 4.0, 1.0),
                                   encoder_cell("int8", "int8", 2.0, 0.99951)};
  for (auto& cell : cells) cell.rows[2]["notes"] = {"3 of 9 items were cut at the end"};
  const std::string text = table(cells, false);
  const auto note = text.find("\n¹ 3 of 9 items were cut at the end\n");
  EXPECT_NE(note, std::string::npos) << text;
  EXPECT_EQ(note, text.rfind("\n¹ 3 of 9"));
  const auto mark = text.find("90.5 ±0.66 %¹");
  EXPECT_NE(mark, std::string::npos) << text;
  EXPECT_NE(text.rfind("90.5 ±0.66 %¹"), mark) << "both rows";
}

TEST(Table, DifferentMachinesAreNamed) {
  auto cells = example();
  cells[1].environment["cpu"] = "Y";
  const std::string text = table(cells, false);
  EXPECT_NE(text.find("do not compare: [X, avx2, build 01234567] [Y, avx2, build 01234567]"),
            std::string::npos)
      << text;
  EXPECT_EQ(document(cells)["environments"].size(), 2U);
  EXPECT_FALSE(document(example()).contains("environments"));
}

TEST(Table, ABusyMachineIsMarked) {
  auto cells = example();
  cells.resize(2);
  cells[0].environment["cores"] = 2;
  cells[0].environment["before"] = {{"load_average", "2.10 1.00 0.50 3/99 1"}};
  EXPECT_EQ(table(cells, false).find("busy"), std::string::npos) << "that is the study's own";
  cells[0].environment["before"] = {{"load_average", "3.40 1.00 0.50 3/99 1"}};
  EXPECT_NE(table(cells, false).find("busy: 1 of 2 cells began at a load of up to 3.4"),
            std::string::npos);
}

TEST(Answer, IsTheFastestThatIsCloseEnough) {
  EXPECT_EQ(
      answer(example()),
      "Small: use int8 on cpu (56.0 tokens/s in tg4; 1.4x faster, 1.9x smaller, KL 0.012); it "
      "is the fastest of 3 proved recipes whose KL divergence from bf16 (from q4_1) is at most "
      "0.05.");
}

TEST(Answer, StaysWithTheBaselineWithinNoise) {
  auto cells = example();
  cells.erase(cells.begin() + 1);
  EXPECT_EQ(answer(cells).find("Small: stay with bf16 (from q4_1) on cpu (40.0 tokens/s in tg4); "
                               "beyond the noise"),
            0U)
      << answer(cells);
}

TEST(Answer, SaysWhatIsMissing) {
  EXPECT_EQ(answer({}), "Nothing was measured.");
  EXPECT_NE(answer({failed("int8", "oom", "x")}).find("no recipe was timed"), std::string::npos);
  std::vector<StoredCell> cells = {cell_of({"bf16", "bf16", 500, 40, 0.5, 270e6}),
                                   cell_of({"int8", "int8", 900, 56, 0.5, 140e6})};
  EXPECT_NE(answer(cells).find("add the task fidelity"), std::string::npos) << answer(cells);
}

TEST(Document, HasTheStableFieldsInEveryRow) {
  const Json all = document(example());
  EXPECT_TRUE(all["assay"].is_string());
  EXPECT_EQ(all["environment"]["cpu"], "X");
  ASSERT_EQ(all["rows"].size(), 5 * 3 + 1U);
  for (const Json& row : all["rows"]) {
    for (const char* key : {"model", "source", "recipe", "device", "status", "reason", "proved",
                            "test", "metrics", "executed", "samples"}) {
      EXPECT_TRUE(row.contains(key)) << key;
    }
  }
  const Json& last = all["rows"].back();
  EXPECT_EQ(last["status"], "unsupported");
  EXPECT_EQ(last["reason"], "no kernel for fp8");
  EXPECT_EQ(last["model"], "Small") << "the name that its siblings know";
  EXPECT_TRUE(last["proved"].is_null());
  EXPECT_EQ(Json::parse(json(example())), all);
}

TEST(Document, ACellThatCrashedAfterRowsSaysSoInARowOfItsOwn) {
  auto cells = example();
  cells.resize(1);
  cells[0].status = "failed";
  cells[0].reason = "it crashed (SIGSEGV)";
  const Json rows = document(cells)["rows"];
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[0]["status"], "ok");
  EXPECT_EQ(rows[3]["status"], "failed");
}

TEST(Jsonl, IsOneRowALine) {
  const std::string text = jsonl(example());
  EXPECT_EQ(std::ranges::count(text, '\n'), 16);
  EXPECT_EQ(Json::parse(text.substr(0, text.find('\n')))["recipe"], "bf16 (from q4_1)");
}

TEST(Csv, IsOneRowALineWithAColumnForEachFigure) {
  auto cells = example();
  cells.erase(cells.begin() + 1, cells.begin() + 5);
  cells[0].rows.resize(1);
  cells[0].rows[0]["reason"] = "a, \"b\"";
  cells[0].rows[0]["recipe"] = "=1+1";
  EXPECT_EQ(csv(cells),
            "model,source,recipe,device,status,reason,proved,fallback,test,energy_net,"
            "energy_net_reason,tokens_per_second,tokens_per_second_ci95_low,"
            "tokens_per_second_ci95_high,tokens_per_second_unit,weight_bytes,weight_bytes_unit\r\n"
            "Small,q4_1,'=1+1,cpu,ok,\"a, \"\"b\"\"\",true,false,pp8,,no meter,500.0,499.5,500.5,"
            "tokens/s,270000000.0,B\r\n"
            "Small,,fp8,cuda,unsupported,no kernel for fp8,,false,,,,,,,,,\r\n");
}

TEST(Layout, WidthIsThatOfATerminal) {
  EXPECT_EQ(display_width("abc"), 3U);
  EXPECT_EQ(display_width("é"), 1U);
  EXPECT_EQ(display_width("e\u0301"), 1U) << "a combining accent";
  EXPECT_EQ(display_width("量"), 2U);
  EXPECT_EQ(display_width("\xff\xfe"), 2U) << "no UTF-8";
  EXPECT_EQ(display_width(""), 0U);
}

TEST(Words, FiguresHaveThreeDigits) {
  EXPECT_EQ(digits(0), "0");
  EXPECT_EQ(digits(0.01234), "0.012");
  EXPECT_EQ(digits(1.234), "1.23");
  EXPECT_EQ(digits(41.27), "41.3");
  EXPECT_EQ(digits(1234.5), "1234");
  EXPECT_EQ(bytes_text(999), "999 B");
  EXPECT_EQ(bytes_text(89.6e6), "89.6 MB");
  EXPECT_EQ(bytes_text(1.6e10), "16.0 GB");
}

}  // namespace
}  // namespace assay::report
