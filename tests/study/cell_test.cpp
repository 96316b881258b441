#include "study/cell.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/scratch_folder.h"
#include "calibrate/table_file.h"
#include "study/calibration.h"

namespace assay::study {
namespace {

using testing::expect_error;
using testing::ScratchFolder;

TEST(Cell, SurvivesTheWayToAChild) {
  Cell cell{.id = "m/int8", .model = "/m.gguf", .recipe_name = "int8", .baseline = "bf16"};
  cell.recipe = {{"default", "int8"}};
  cell.threads = 2;
  cell.fallback = true;
  cell.tasks = Json::array({{{"task", "fidelity"}}});
  const Cell back = Cell::from_json(base::parse_json(cell.to_json().dump(), "test"));
  EXPECT_EQ(back.to_json(), cell.to_json());
  EXPECT_TRUE(back.workload.is_null());
}

TEST(Cell, ADamagedDescriptionIsBadData) {
  Json json = Cell{.id = "x"}.to_json();
  json["threads"] = "two";
  expect_error(ErrorCode::bad_data, {"'threads'"}, [&] { (void)Cell::from_json(json); });
  expect_error(ErrorCode::bad_data, {"'id'"}, [] { (void)Cell::from_json(Json::array()); });
}

class CellKey : public ::testing::Test {
 protected:
  void SetUp() override {
    ::setenv("ASSAY_CACHE", (folder_.path() / "cache").c_str(), 1);
    cell_.id = "m/int8";
    cell_.model = folder_.write("m.gguf", "GGUF one").string();
    cell_.recipe_name = "int8";
    cell_.recipe = "int8";
    cell_.threads = 1;
    cell_.workload = {{"prompt", {8}}, {"seed", 1}};
    data_ = folder_.write("data.tsv", "sentence\tlabel\na\t1\n").string();
    cell_.tasks = Json::array(
        {{{"task", "sst2"}, {"file", data_}},
         {{"task", "fidelity"}, {"baseline", {{"name", "b"}, {"spec", "bf16"}}}, {"seed", 1}}});
  }
  /// Key after a change that is made to a copy.
  [[nodiscard]] std::string after(const std::function<void(Cell&)>& change) const {
    Cell other = cell_;
    change(other);
    return cell_key(other);
  }

  ScratchFolder folder_;
  std::string data_;
  Cell cell_;
};

TEST_F(CellKey, IsTheSameForTheSameMeasurement) {
  const std::string key = cell_key(cell_);
  EXPECT_EQ(key.size(), 64U);
  EXPECT_EQ(cell_key(cell_), key);
  EXPECT_EQ(after([](Cell& c) { c.id = c.recipe_name = "renamed"; }), key);
  EXPECT_EQ(after([](Cell& c) { c.baseline = "other"; }), key) << "it only names a comparison";
  EXPECT_EQ(after([](Cell& c) { c.recipe = {{"default", "int8"}}; }), key) << "two spellings";
  EXPECT_EQ(after([](Cell& c) { c.device = "auto"; }), key) << "auto is cpu here";
  EXPECT_EQ(
      after([this](Cell& c) { c.model = folder_.write("elsewhere/m.gguf", "GGUF one").string(); }),
      key)
      << "content counts, not the path";
}

TEST_F(CellKey, ChangesWithEverythingThatCouldChangeAResult) {
  const std::string key = cell_key(cell_);
  const auto differs = [&](const char* what, const std::function<void(Cell&)>& change) {
    EXPECT_NE(after(change), key) << what;
  };
  differs("model", [this](Cell& c) { c.model = folder_.write("n.gguf", "GGUF two").string(); });
  differs("recipe", [](Cell& c) { c.recipe = "bf16"; });
  differs("16-bit type", [](Cell& c) {
    c.recipe = {{"default", "int8"}, {"sixteen_bit", "fp16"}};
  });
  differs("threads", [](Cell& c) { c.threads = 2; });
  differs("fallback", [](Cell& c) { c.fallback = true; });
  differs("missing device", [](Cell& c) { c.device = "cuda"; });
  differs("workload", [](Cell& c) { c.workload["prompt"] = {16}; });
  differs("seed", [](Cell& c) { c.workload["seed"] = 2; });
  differs("no workload", [](Cell& c) { c.workload = nullptr; });
  differs("limit", [](Cell& c) { c.tasks[0]["limit"] = 5; });
  differs("fidelity's seed", [](Cell& c) { c.tasks[1]["seed"] = 2; });
  differs("baseline", [](Cell& c) { c.tasks[1]["baseline"]["spec"] = "fp32"; });
  differs("data", [this](Cell& c) {
    c.tasks[0]["file"] = folder_.write("other.tsv", "sentence\tlabel\nb\t1\n").string();
  });
}

TEST_F(CellKey, SeesThatAFileWasRewrittenInPlace) {
  const std::string key = cell_key(cell_);
  folder_.write("m.gguf", "GGUF two");
  EXPECT_NE(cell_key(cell_), key);
}

TEST_F(CellKey, OfWhatCannotBeReadIsAnError) {
  EXPECT_THROW((void)after([](Cell& c) { c.model = "/nowhere"; }), Error);
  EXPECT_THROW((void)after([](Cell& c) { c.tasks[0]["file"] = "/nowhere"; }), Error);
  EXPECT_THROW((void)after([](Cell& c) { c.recipe = "int9"; }), Error);
}

using KeptTable = CellKey;

TEST_F(KeptTable, IsNamedAfterAllThatItDependsOn) {
  const precision::CalibrationData data{.file = data_};
  const auto path = kept_table(cell_, data, {});
  EXPECT_EQ(kept_table(cell_, data, {}), path);
  auto other = data;
  other.samples += 1;
  EXPECT_NE(kept_table(cell_, other, {}), path);
  other = data;
  other.length += 1;
  EXPECT_NE(kept_table(cell_, other, {}), path);
  other = data;
  other.random_seed = 1;
  EXPECT_NE(kept_table(cell_, other, {}), path);
  Cell cell = cell_;
  cell.threads = 2;
  EXPECT_EQ(kept_table(cell, data, {}), path) << "a table is the same for any number of threads";
  folder_.write("data.tsv", "sentence\tlabel\nb\t1\n");
  EXPECT_NE(kept_table(cell_, data, {}), path);
  folder_.write("m.gguf", "GGUF two");
  EXPECT_NE(kept_table(cell_, {.file = data_}, {}), path);
  EXPECT_TRUE(kept_table(cell_, {.file = "/nowhere"}, {}).empty());
}

TEST_F(KeptTable, IsTakenInPlaceOfACalibration) {
  const precision::CalibrationData data{.file = data_};
  const auto path = kept_table(cell_, data, {});
  std::filesystem::create_directories(path.parent_path());
  const precision::CalibrationTable table{.origin = "data.tsv", .data_hash = "0", .tokens = 7};
  calibrate::write_table(path, engine::content_hash(cell_.model), table);
  // "m.gguf" is no model: a calibration would fail.
  EXPECT_EQ(calibration_table(cell_, data, {}).hash(), table.hash());
}

}  // namespace
}  // namespace assay::study
