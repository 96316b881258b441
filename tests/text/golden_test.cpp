// Ids and decoded text against the references' (tests/golden/scripts/make_text_golden.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "base/io.h"
#include "text/bpe.h"
#include "text/loaders.h"
#include "text/support.h"

namespace assay::text {
namespace {

/// What the reference's decoder returns is text, so bytes that are none were replaced there.
std::string as_text(const std::string& bytes) {
  const Json quoted = Json::parse(Json(bytes).dump(-1, ' ', false, Json::error_handler_t::replace));
  return quoted.get<std::string>();
}

void check_case(const Tokenizer& tokenizer, const Json& texts, const Json& expected) {
  const std::string name = expected.at("name");
  ASSERT_EQ(texts.size(), expected.at("ids").size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::string text = texts[i];
    const Ids ids = tokenizer.encode(text, {.add_special = true, .parse_special = true});
    EXPECT_EQ(ids, expected["ids"][i].get<Ids>()) << name << ": " << texts[i];
    if (expected.contains("plain")) {
      const Ids plain = tokenizer.encode(text, {.add_special = false, .parse_special = false});
      EXPECT_EQ(plain, expected["plain"][i].get<Ids>()) << name << ": " << texts[i];
    }
    if (expected.contains("text")) {
      EXPECT_EQ(as_text(tokenizer.decode(ids)), expected["text"][i].get<std::string>())
          << name << ": " << texts[i];
    }
  }
}

/// The older form of the same model, with the switch that llama's files set.
void ignore_merges(Json& model) {
  model["ignore_merges"] = true;
  for (Json& merge : model["merges"]) {
    if (merge.is_array()) merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  }
}

void check_file(const std::string& golden_name, const Json& base) {
  const Json golden = base::read_json(golden_file(golden_name));
  ASSERT_GE(golden.at("texts").size(), 200u);
  for (const Json& one : golden.at("cases")) {
    Json config = base;
    for (const auto& [key, value] : one.at("override").items()) {
      if (key == "ignore_merges_and_string_merges") {
        ignore_merges(config["model"]);
      } else if (key == "model_keys") {
        config["model"].update(value);
      } else {
        config[key] = value;
      }
    }
    check_case(*from_json(config), golden["texts"], one);
  }
}

TEST(TextGolden, ByteLevelBpe) {
  check_file("bpe.json", base::read_json(golden_file("bpe_tokenizer.json")));
}

TEST(TextGolden, SentencePieceBpe) {
  check_file("sentencepiece_bpe.json",
             base::read_json(golden_file("sentencepiece_bpe_tokenizer.json")));
}

TEST(TextGolden, SplittingPatternsOfPublishedModels) {
  check_file("bpe_patterns.json", base::read_json(golden_file("bpe_tokenizer.json")));
}

TEST(TextGolden, Unigram) {
  check_file("unigram.json", base::read_json(golden_file("unigram_tokenizer.json")));
}

/// null: the package does not cut the text.
void check_lengths(const Tokenizer& tokenizer, const std::string& text, bool special,
                   const Json& expected, const std::string& what) {
  const EncodeOptions options{.add_special = special, .parse_special = true, .file_lengths = true};
  if (expected.is_null()) {
    expect_error(ErrorCode::bad_data, {"truncation."},
                 [&] { static_cast<void>(tokenizer.encode(text, options)); });
  } else {
    EXPECT_EQ(tokenizer.encode(text, options), expected.get<Ids>()) << what << " of " << text;
  }
}

TEST(TextGolden, LengthsOfTheFile) {
  const Json golden = base::read_json(golden_file("lengths.json"));
  Json config = base::read_json(golden_file("unigram_tokenizer.json"));
  config.update(golden.at("override"));
  const Ids whole = from_json(config)->encode(golden.at("texts").at(2).get<std::string>(),
                                              {.parse_special = true});
  ASSERT_GT(whole.size(), 9u);
  for (const Json& one : golden.at("cases")) {
    config["truncation"] = one.at("truncation");
    config["padding"] = one.at("padding");
    const auto tokenizer = from_json(config);
    const std::string what = one["truncation"].dump() + one["padding"].dump();
    for (std::size_t i = 0; i < golden["texts"].size(); ++i) {
      const std::string text = golden["texts"][i];
      check_lengths(*tokenizer, text, true, one.at("ids").at(i), what);
      check_lengths(*tokenizer, text, false, one.at("plain").at(i), what);
    }
    // Who does not ask gets the whole text.
    EXPECT_EQ(tokenizer->encode(golden["texts"][2].get<std::string>(), {.parse_special = true}),
              whole);
  }
}

TEST(TextGolden, SentencePieceFromGguf) {
  const Json golden = base::read_json(golden_file("gguf_spm.json"));
  const auto tokenizer = make_tokenizer(parts_from_gguf(golden.at("metadata"), "spm.gguf"));
  check_case(*tokenizer, golden["texts"], golden["cases"][0]);
  for (const Json& text : golden["texts"]) {
    // Bytes that are no text were replaced, and the mark of a space is one.
    const std::string whole = text;
    if (whole.find("\u2581") != std::string::npos) continue;
    const Ids ids = tokenizer->encode(whole, {.add_special = false});
    EXPECT_EQ(tokenizer->decode(ids, false), whole);
  }
}

/// As the converter of llama.cpp writes a vocab.txt.
Json bert_metadata(const std::filesystem::path& vocab) {
  Json tokens = Json::array();
  Json types = Json::array();
  std::istringstream lines(base::read_text(vocab));
  for (std::string piece; std::getline(lines, piece);) {
    const bool whole = piece.size() > 2 && piece.front() == '[' && piece.back() == ']';
    const bool special = whole && piece.find("unused") == std::string::npos;
    types.push_back(special ? 3 : 1);
    tokens.push_back(whole ? piece : piece.starts_with("##") ? piece.substr(2) : "\u2581" + piece);
  }
  return {{"tokenizer.ggml.model", "bert"},      {"tokenizer.ggml.tokens", tokens},
          {"tokenizer.ggml.token_type", types},  {"tokenizer.ggml.unknown_token_id", 100},
          {"tokenizer.ggml.cls_token_id", 101},  {"tokenizer.ggml.seperator_token_id", 102},
          {"tokenizer.ggml.padding_token_id", 0}};
}

TEST(TextGolden, WordPieceFromGguf) {
  const auto folder = real_model("ASSAY_MINILM");
  if (folder.empty()) GTEST_SKIP() << "ASSAY_MINILM names no folder with MiniLM";
  const Json golden = base::read_json(golden_file("wordpiece.json"));
  const auto tokenizer =
      make_tokenizer(parts_from_gguf(bert_metadata(folder / "vocab.txt"), "bert.gguf"));
  EXPECT_EQ(tokenizer->pad(), 0);
  check_case(*tokenizer, golden["texts"], golden["cases"][0]);
}

TEST(TextGolden, WordPiece) {
  const auto folder = real_model("ASSAY_MINILM");
  if (folder.empty()) GTEST_SKIP() << "ASSAY_MINILM names no folder with MiniLM";
  check_file("wordpiece.json", base::read_json(folder / "tokenizer.json"));
}

TEST(TextGolden, WordPieceFromVocabTxt) {
  const auto folder = real_model("ASSAY_MINILM");
  if (folder.empty()) GTEST_SKIP() << "ASSAY_MINILM names no folder with MiniLM";
  const Json golden = base::read_json(golden_file("wordpiece.json"));
  check_case(*load_wordpiece_vocab(folder / "vocab.txt", true), golden["texts"],
             golden["cases"][0]);
  check_case(*load_wordpiece_vocab(folder / "vocab.txt", false), golden["texts"],
             golden["cases"][1]);
}

TEST(TextGolden, SmolLm2FromGguf) {
  const auto file = real_model("ASSAY_SMOLLM2");
  if (file.empty()) GTEST_SKIP() << "ASSAY_SMOLLM2 names no GGUF file of SmolLM2";
  const Json golden = base::read_json(golden_file("smollm2.json"));
  const auto tokenizer = load_gguf_tokenizer(files::open_gguf(file));
  EXPECT_TRUE(tokenizer->warnings().empty());
  EXPECT_EQ(tokenizer->vocabulary_size(), 49152u);
  EXPECT_EQ(tokenizer->bos(), 1);
  EXPECT_EQ(tokenizer->eos(), 2);
  EXPECT_EQ(tokenizer->pad(), 2);
  check_case(*tokenizer, golden["texts"], golden["cases"][0]);
  const auto has_piece = [&](char byte) {
    return tokenizer->id_of(bytes_to_piece({&byte, 1})).has_value();
  };
  std::size_t whole_texts = 0;
  for (const Json& text : golden["texts"]) {
    const std::string whole = text;
    if (!std::ranges::all_of(whole, has_piece)) continue;  // this model lacks some control bytes
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(whole)), whole);
    ++whole_texts;
  }
  EXPECT_GE(whole_texts, 200u);
}

TEST(TextGolden, RealFilesNameTheirTokens) {
  const auto folder = real_model("ASSAY_MINILM");
  if (folder.empty()) GTEST_SKIP() << "ASSAY_MINILM names no folder with MiniLM";
  const auto tokenizer = load_tokenizer(files::locate_model(folder));
  EXPECT_EQ(tokenizer->pad(), 0);
  EXPECT_EQ(tokenizer->id_of("[CLS]"), 101);
  EXPECT_EQ(tokenizer->token(2075), "##ing");
  EXPECT_EQ(tokenizer->vocabulary_size(), 30522u);
}

}  // namespace
}  // namespace assay::text
