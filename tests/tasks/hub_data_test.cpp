#include "tasks/hub_data.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/io.h"
#include "base/scratch_folder.h"
#include "files/table_file.h"
#include "tasks/multiple_choice.h"

namespace assay::tasks {
namespace {

namespace fs = std::filesystem;
using testing::expect_error;

const std::string kSst2 = "8d51e7e4887a4caaa95b3fbebbf53c0490b58bbb";
const std::string kHellaSwag = "218ec52e09a7e7462a5400043bb9a69a41d06b76";
const std::string kMmlu = "c30699e8356da336a370243923dbaf21066bb9fe";
const std::string kOther = "89abcdef0123456789abcdef0123456789abcdef";

/// Stands for pyarrow: what is called .parquet here holds a JSON object a line.
constexpr const char* kReader = R"(
import json
class ParquetFile:
    def __init__(self, file): self.file = file
    def iter_batches(self):
        open(COUNT, "a").write("x")
        yield Batch([json.loads(line) for line in open(self.file, encoding="utf-8")])
class Batch:
    def __init__(self, rows): self.rows = rows
    def to_pylist(self): return self.rows
)";

/// A Hugging Face cache and our own, in a folder of the test.
class HubData : public ::testing::Test {
 protected:
  HubData() {
    for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "ASSAY_CACHE",
                             "PYTHONPATH", "ASSAY_PYTHON"}) {
      const char* value = std::getenv(name);
      before_.emplace_back(name, value == nullptr ? "" : value);
      ::unsetenv(name);
    }
    ::setenv("HF_HOME", folder_.path().c_str(), 1);
    ::setenv("ASSAY_CACHE", (folder_.path() / "own").c_str(), 1);
  }
  ~HubData() override {
    for (const auto& [name, value] : before_) {
      value.empty() ? ::unsetenv(name) : ::setenv(name, value.c_str(), 1);
    }
  }

  /// Files of a snapshot are links into blobs, as huggingface_hub makes them.
  void add(const std::string& repo, const std::string& commit, const std::string& name,
           const std::string& content) {
    const std::string base = "hub/datasets--" + repo;
    const std::string blob = "blob" + std::to_string(blobs_++);
    const fs::path target = folder_.write(base + "/blobs/" + blob, content);
    const fs::path link = folder_.path() / base / "snapshots" / commit / name;
    fs::create_directories(link.parent_path());
    fs::create_symlink(target, link);
  }
  void add_reader() {
    const std::string count = "COUNT = '" + (folder_.path() / "count").string() + "'\n";
    folder_.write("py/pyarrow/__init__.py", "");
    folder_.write("py/pyarrow/parquet.py", count + kReader);
    ::setenv("PYTHONPATH", (folder_.path() / "py").c_str(), 1);
  }
  [[nodiscard]] std::size_t files_read() const {
    const fs::path count = folder_.path() / "count";
    return fs::exists(count) ? fs::file_size(count) : 0;
  }

  testing::ScratchFolder folder_;
  std::vector<std::pair<const char*, std::string>> before_;
  int blobs_ = 0;
};

constexpr const char* kLine =
    R"({"activity_label": "A", "ctx_a": "b", "ctx_b": "c", "endings": ["d", "e"], "label": "1"})";

TEST_F(HubData, TakesJsonLinesOfTheSnapshot) {
  add("Rowan--hellaswag", kHellaSwag, "data/validation-00000-of-00001.parquet", "PAR1");
  add("Rowan--hellaswag", kHellaSwag, "data/validation.jsonl", kLine);
  const auto data = find_hub_data("hellaswag");
  EXPECT_EQ(data.repo, "Rowan/hellaswag");
  EXPECT_EQ(data.revision, kHellaSwag);
  EXPECT_EQ(data.path.filename(), "validation.jsonl");
  EXPECT_EQ(read_hellaswag(data.path, 0).items.size(), 1U);
}

TEST_F(HubData, GlueStandsForSst2) {
  add("nyu-mll--glue", "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c", "sst2/validation.csv",
      "sentence,label\ngood,1\n");
  const auto data = find_hub_data("sst2");
  EXPECT_EQ(data.repo, "nyu-mll/glue");
  EXPECT_EQ(files::read_labelled(data.path).at(0).text, "good");
}

TEST_F(HubData, OtherRevisionsAreAskedForByName) {
  add("Rowan--hellaswag", kOther, "data/validation.jsonl", kLine);
  folder_.write("hub/datasets--Rowan--hellaswag/refs/main", kOther);
  expect_error(ErrorCode::io, {"snapshots/" + kHellaSwag, "--repo-type dataset", kOther},
               [] { (void)find_hub_data("hellaswag"); });
  EXPECT_EQ(find_hub_data("hellaswag", "main").revision, kOther);
  EXPECT_EQ(find_hub_data("hellaswag", kOther).revision, kOther);
  expect_error(ErrorCode::io, {"snapshots/v9"}, [] { (void)find_hub_data("hellaswag", "v9"); });
}

TEST_F(HubData, NothingThereSaysWhereItLooked) {
  expect_error(ErrorCode::io,
               {(folder_.path() / "hub/datasets--stanfordnlp--sst2/snapshots" / kSst2).string(),
                "datasets--nyu-mll--glue", "sst2=PATH", "HF_HOME"},
               [] { (void)find_hub_data("sst2"); });
  add("stanfordnlp--sst2", kSst2, "data/train.jsonl", "{}");
  expect_error(ErrorCode::bad_data, {"no file of its split val"},
               [] { (void)find_hub_data("sst2"); });
}

TEST_F(HubData, ParquetIsConvertedOnce) {
  add_reader();
  add("stanfordnlp--sst2", kSst2, "data/validation-00000-of-00002.parquet",
      "{\"sentence\": \"gut é\", \"label\": 1}\n");
  add("stanfordnlp--sst2", kSst2, "data/validation-00001-of-00002.parquet",
      "{\"sentence\": \"b\", \"label\": 0}\n");
  const auto data = find_hub_data("sst2");
  const auto rows = files::read_labelled(data.path);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].text, "gut é");
  EXPECT_EQ(rows[1].label, 0);
  EXPECT_TRUE(data.path.string().starts_with((folder_.path() / "own" / "datasets").string()));
  EXPECT_EQ(files_read(), 2U);
  EXPECT_EQ(find_hub_data("sst2").path, data.path);
  EXPECT_EQ(files_read(), 2U);
}

TEST_F(HubData, MmluInFoldersOfSubjectsAndInOne) {
  add_reader();
  const std::string question =
      R"({"question": "1 + 1?", "subject": "SUBJECT", "choices": ["1", "2", "3", "4"], "answer": 1})";
  const auto of = [&](const std::string& subject) {
    std::string line = question;
    return line.replace(line.find("SUBJECT"), 7, subject) + "\n";
  };
  for (const char* split : {"dev", "validation", "test"}) {
    const std::string file = split + std::string("-00000-of-00001.parquet");
    for (const std::string subject : {"anatomy", "virology"}) {
      add("cais--mmlu", kMmlu, subject + "/" + file, of(subject));
    }
    add("cais--mmlu", kOther, "all/" + file, of("anatomy") + of("virology"));
  }
  for (const std::string& revision : {kMmlu, kOther}) {
    const auto data = find_hub_data("mmlu", revision);
    const auto choices = read_mmlu(data.path, {.shots = 1, .split = "val"});
    ASSERT_EQ(choices.groups, (std::vector<std::string>{"anatomy", "virology"})) << revision;
    ASSERT_EQ(choices.items.size(), 2U);
    EXPECT_EQ(choices.items[0].gold, 1);
    EXPECT_EQ(choices.items[0].context,
              "The following are multiple choice questions (with answers) about anatomy.\n\n"
              "1 + 1?\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer: B\n\n"
              "1 + 1?\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer:");
    EXPECT_NE(choices.notes.at(0).find("split val"), std::string::npos);
  }
}

TEST_F(HubData, NamesFromADataSetStayInTheFolder) {
  add_reader();
  add("cais--mmlu", kMmlu, "all/test-00000-of-00001.parquet",
      R"({"question": "q", "subject": "../../x", "choices": ["1", "2", "3", "4"], "answer": 1})");
  expect_error(ErrorCode::bad_data, {"cannot be brought to JSONL", "is no name"},
               [] { (void)find_hub_data("mmlu"); });
}

TEST_F(HubData, WithoutAReaderTheErrorSaysWhatToDo) {
  add("stanfordnlp--sst2", kSst2, "data/validation.parquet", "PAR1");
  ::setenv("ASSAY_PYTHON", (folder_.path() / "no-python").c_str(), 1);
  expect_error(ErrorCode::unsupported, {"pip install pyarrow", "validation.parquet"},
               [] { (void)find_hub_data("sst2"); });
  folder_.write("py/pyarrow/__init__.py", "raise ImportError('no pyarrow here')");
  ::unsetenv("ASSAY_PYTHON");
  ::setenv("PYTHONPATH", (folder_.path() / "py").c_str(), 1);
  expect_error(ErrorCode::unsupported, {"no pyarrow here"}, [] { (void)find_hub_data("sst2"); });
}

}  // namespace
}  // namespace assay::tasks
