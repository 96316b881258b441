#include "text/support.h"

#include "text/bpe.h"

namespace assay::text {

Json byte_level_json(const std::vector<std::pair<std::string, std::string>>& merges) {
  Json vocab = Json::object();
  Json list = Json::array();
  for (int byte = 0; byte < 256; ++byte) {
    const char one = static_cast<char>(byte);
    vocab[bytes_to_piece({&one, 1})] = byte;
  }
  for (const auto& [left, right] : merges) {
    vocab[left + right] = vocab.size();
    list.push_back(left + " " + right);
  }
  Json json;
  json["model"] = {{"type", "BPE"}, {"vocab", vocab}, {"merges", list}};
  json["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  json["decoder"] = {{"type", "ByteLevel"}};
  return json;
}

Json wordpiece_json(const std::vector<std::string>& pieces) {
  Json vocab = Json::object();
  Json added = Json::array();
  for (const char* name : {"[PAD]", "[UNK]", "[CLS]", "[SEP]"}) {
    added.push_back({{"id", vocab.size()}, {"content", name}, {"special", true}});
    vocab[name] = vocab.size();
  }
  for (const std::string& piece : pieces) vocab[piece] = vocab.size();
  Json json;
  json["model"] = {{"type", "WordPiece"}, {"vocab", vocab}, {"unk_token", "[UNK]"}};
  json["added_tokens"] = added;
  json["normalizer"] = {{"type", "BertNormalizer"}};
  json["pre_tokenizer"] = {{"type", "BertPreTokenizer"}};
  json["post_processor"] = {
      {"type", "BertProcessing"}, {"sep", {"[SEP]", 3}}, {"cls", {"[CLS]", 2}}};
  json["decoder"] = {{"type", "WordPiece"}};
  return json;
}

}  // namespace assay::text
