// Hostile inputs that are made four times as long: the time may grow by as much, and by noise, but
// not by the square. Refused early is as good as read.
#include <gtest/gtest.h>

#include <ctime>
#include <functional>

#include "files/zip_bytes.h"
#include "fuzz/target.h"

namespace assay::fuzz {
namespace {

struct Hostile {
  std::string name;
  const Target* target;
  std::size_t size;  ///< of the shorter input, in units of the maker
  std::function<std::string(std::size_t)> make;
};

std::string repeated(std::string_view text, std::size_t times) {
  std::string result;
  result.reserve(text.size() * times);
  for (std::size_t i = 0; i < times; ++i) result += text;
  return result;
}

/// `count` members "<i>": <value>, with commas.
std::string members(std::size_t count, const std::string& value) {
  std::string result;
  for (std::size_t i = 0; i < count; ++i) {
    result += fmt::format("{}\"{}\":{}", i == 0 ? "" : ",", i, value);
  }
  return result;
}

std::string tensors(std::size_t count) {
  return testing::safetensors(
      "{" + members(count, R"({"dtype":"U8","shape":[0],"data_offsets":[0,0]})") + "}", 0);
}

std::string gguf_of_keys(std::size_t count) {
  testing::FileBytes f;
  f.raw("GGUF").number(std::uint32_t{3}).number(std::uint64_t{0}).number(std::uint64_t{count});
  for (std::size_t i = 0; i < count; ++i) {
    f.text(fmt::format("k{}", i)).number(std::uint32_t{8}).text("value");
  }
  return f.data();
}

std::string zip_of_records(std::size_t count) {
  std::vector<std::pair<std::string, std::string>> records;
  for (std::size_t i = 0; i < count; ++i) records.emplace_back(fmt::format("m/{}", i), "");
  return testing::zip_of(records).data();
}

std::string pickle(const std::string& code) {
  return testing::zip_of({{"m/data.pkl", "\x80\x02" + code + "."}}).data();
}

/// A WordPiece whose one piece is `length` letters long.
std::string long_piece(std::size_t length) {
  return fmt::format(R"({{"model":{{"type":"WordPiece","unk_token":"u","vocab":{{"u":0,"{}":1}}}},)"
                     R"("pre_tokenizer":{{"type":"BertPreTokenizer"}}}})",
                     std::string(length, 'a'));
}

std::string nested_sequences(std::size_t depth) {
  return R"({"model":{"type":"WordPiece","vocab":{"[UNK]":0}},"normalizer":)" +
         repeated(R"({"type":"Sequence","normalizers":[)", depth) + repeated("]}", depth) + "}";
}

const std::vector<Hostile>& cases() {
  static const std::vector<Hostile> all = {
      {"safetensors_tensors", &kSafetensors, 10'000, tensors},
      {"safetensors_nested", &kSafetensors, 500'000,
       [](std::size_t n) { return testing::safetensors("{\"a\":" + repeated("[", n), 0); }},
      {"safetensors_spaces", &kSafetensors, 500'000,
       [](std::size_t n) { return testing::safetensors("{" + std::string(n, ' '), 0); }},
      {"safetensors_one_name", &kSafetensors, 500'000,
       [](std::size_t n) { return testing::safetensors("{\"" + repeated("\\u0001", n), 0); }},
      {"safetensors_digits", &kSafetensors, 200'000,
       [](std::size_t n) {
         return testing::safetensors("{\"a\":" + std::string(n, '1') + "}", 0);
       }},
      {"gguf_keys", &kGguf, 20'000, gguf_of_keys},
      {"torch_records", &kTorch, 10'000, zip_of_records},
      {"torch_marks", &kTorch, 50'000,
       [](std::size_t n) { return pickle(std::string(n, '(') + std::string(n, 't')); }},
      {"torch_pops_under_a_mark", &kTorch, 50'000,
       [](std::size_t n) { return pickle("](" + repeated("](e", n)); }},
      {"torch_texts", &kTorch, 50'000,
       [](std::size_t n) {
         return pickle("](" + repeated(std::string("X\1\0\0\0a", 6), n) + "e");
       }},
      {"index_names", &kShardIndex, 20'000,
       [](std::size_t n) { return "{\"weight_map\":{" + members(n, "\"a\"") + "}}"; }},
      {"index_files", &kShardIndex, 20'000,
       [](std::size_t n) {
         std::string text = "{\"weight_map\":{\"x\":\"y\"";
         for (std::size_t i = 0; i < n; ++i) text += fmt::format(",\"t{}\":\"f{}\"", i, i);
         return text + "}}";
       }},
      {"tokenizer_long_piece", &kTokenizer, 500'000, long_piece},
      {"tokenizer_nested", &kTokenizer, 20'000, nested_sequences},
      {"config_keys", &kConfig, 20'000,
       [](std::size_t n) { return "{" + members(n, "[1,2]") + "}"; }},
      {"study_flow", &kStudy, 20'000, [](std::size_t n) { return "a: " + repeated("[", n); }},
      {"study_list", &kStudy, 20'000, [](std::size_t n) { return "a:\n" + repeated(" - b\n", n); }},
      {"study_keys", &kStudy, 10'000,
       [](std::size_t n) {
         std::string text;
         for (std::size_t i = 0; i < n; ++i) text += fmt::format("k{}: 1\n", i);
         return text;
       }},
      {"study_long_key", &kStudy, 20'000,
       [](std::size_t n) { return std::string(n, 'k') + ":\n" + repeated(" - b\n", n); }},
      {"study_anchors", &kStudy, 5'000,
       [](std::size_t n) {
         std::string text = "a:\n";
         for (std::size_t i = 0; i < n; ++i) text += fmt::format(" - &a{} b\n - *a{}\n", i, i);
         return text;
       }},
      {"study_quotes", &kStudy, 40'000,
       [](std::size_t n) { return "a: \"" + repeated("\\n\n ", n) + "\"\n"; }}};
  return all;
}

class Growth : public ::testing::TestWithParam<Hostile> {};

double seconds_of(const Target& target, const std::string& input) {
  double best = 1e9;
  for (int i = 0; i < 2; ++i) {
    const std::clock_t begin = std::clock();
    static_cast<void>(outcome(target, input));
    best = std::min(best, static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC);
  }
  return best;
}

TEST_P(Growth, IsLinear) {
  const auto& [name, target, size, make] = GetParam();
  const double one = seconds_of(*target, make(size));
  const double four = seconds_of(*target, make(4 * size));
  // A square would be 16 times as long.
  EXPECT_LT(four, 8 * one + 0.02) << one << " s grew to " << four << " s";
  EXPECT_LT(four, 2.0);
}

INSTANTIATE_TEST_SUITE_P(, Growth, ::testing::ValuesIn(cases()),
                         [](const auto& hostile) { return hostile.param.name; });

}  // namespace
}  // namespace assay::fuzz
