// Every file of tests/corpus through its reader: accepted, or refused with the words that
// expected.json gives. With sanitizers this tests every access; the fuzzers begin from these files.
#include <gtest/gtest.h>

#include <array>
#include <set>

#include "base/io.h"
#include "base/json.h"
#include "fuzz/target.h"

namespace assay::fuzz {
namespace {

namespace fs = std::filesystem;

const fs::path kCorpus = ASSAY_CORPUS_DIR;

constexpr std::array kTargets = {&kSafetensors, &kGguf,       &kGgufModel, &kTorch,
                                 &kNpy,         &kShardIndex, &kTokenizer, &kConfig,
                                 &kStudy,       &kChat,       &kCheckpoint};

struct Sample {
  const Target* target;
  std::string file;
  std::optional<std::string> message;  ///< what the refusal must contain; none: accepted
};

std::vector<Sample> samples() {
  std::vector<Sample> all;
  for (const Target* target : kTargets) {
    const Json expected = base::read_json(kCorpus / target->name / "expected.json");
    for (const auto& [file, message] : expected.items()) {
      all.push_back({target, file, std::nullopt});
      if (!message.is_null()) all.back().message = message.get<std::string>();
    }
  }
  return all;
}

class Corpus : public ::testing::TestWithParam<Sample> {};

TEST_P(Corpus, IsAcceptedOrRefusedAsExpected) {
  const auto& [target, file, wanted] = GetParam();
  const auto message = outcome(*target, base::read_text(kCorpus / target->name / file));
  EXPECT_EQ(message.has_value(), wanted.has_value()) << message.value_or("accepted");
  if (message && wanted) {
    EXPECT_NE(message->find(*wanted), std::string::npos) << *message << "\nlacks: " << *wanted;
  }
}

std::string test_name(const ::testing::TestParamInfo<Sample>& sample) {
  std::string name = std::string(sample.param.target->name) + "_" + sample.param.file;
  std::ranges::replace(name, '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(, Corpus, ::testing::ValuesIn(samples()), test_name);

TEST(CorpusFolder, HasAReaderForEveryFolder) {
  std::set<std::string> known;
  for (const Target* target : kTargets) known.emplace(target->name);
  std::set<std::string> folders;
  for (const auto& entry : fs::directory_iterator(kCorpus)) {
    if (fs::exists(entry.path() / "expected.json")) folders.insert(entry.path().filename());
  }
  EXPECT_EQ(folders, known);
}

}  // namespace
}  // namespace assay::fuzz
