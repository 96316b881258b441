#include <array>

#include "base/io.h"
#include "base/json.h"
#include "text/chat/chat_template.h"
#include "text/chat/run.h"
#include "text/json_fields.h"

namespace assay::text {
namespace {

using Tokens = std::vector<std::pair<std::string, std::string>>;
using Named = std::vector<std::pair<std::string, std::string>>;

constexpr std::string_view kGgufKey = "tokenizer.chat_template";

ChatTemplate pick(const Named& templates, std::string_view variant, const std::string& place,
                  Tokens tokens) {
  std::string names;
  for (const auto& [name, source] : templates) {
    if (name == variant) return ChatTemplate::parse(source, place, std::move(tokens));
    names += (names.empty() ? "" : ", ") + base::printable(name);
  }
  if (templates.empty()) fail(ErrorCode::bad_data, "{}: the model has no chat template", place);
  fail(ErrorCode::bad_data, "{}: there is no chat template '{}'; there are: {}", place,
       base::printable(variant), names);
}

/// tokenizer_config.json: "<s>" or {"content": "<s>", ...}.
Tokens special_tokens(Fields& config) {
  Tokens tokens;
  for (const char* key : {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token",
                          "cls_token", "mask_token"}) {
    const Json* value = config.find(key);
    if (value == nullptr) continue;
    if (value->is_object()) {
      tokens.emplace_back(key, Fields(*value, config.place(key)).text("content"));
    } else {
      tokens.emplace_back(key, as_text(*value, config.place(key)));
    }
  }
  return tokens;
}

Named named_templates(Fields& config) {
  Named templates;
  const Json* value = config.find("chat_template");
  if (value == nullptr) return templates;
  if (!value->is_array()) {
    templates.emplace_back("default", as_text(*value, config.place("chat_template")));
    return templates;
  }
  for (const Json& one : *value) {
    Fields fields(one, config.place("chat_template"));
    templates.emplace_back(fields.text("name"), fields.text("template"));
  }
  return templates;
}

ChatTemplate from_folder(const files::ModelFiles& files, std::string_view variant) {
  const std::filesystem::path& file = files.tokenizer_config;
  const std::string place = base::printable(file.native(), 1000);
  const Json json = file.empty() ? Json::object() : base::read_json(file);
  Fields config(json, place + ": ");
  Tokens tokens = special_tokens(config);
  const auto jinja = files.root / "chat_template.jinja";
  std::error_code ignored;
  if (variant == "default" && std::filesystem::is_regular_file(jinja, ignored)) {
    return ChatTemplate::parse(base::read_text(jinja, chat::kMaxTemplateBytes),
                               base::printable(jinja.native(), 1000), std::move(tokens));
  }
  const Named templates = named_templates(config);
  if (templates.empty()) {
    fail(ErrorCode::bad_data,
         "{}: the model has no chat template; looked for chat_template.jinja and for chat_template "
         "in tokenizer_config.json",
         base::printable(files.root.native(), 1000));
  }
  return pick(templates, variant, place + ": chat_template", std::move(tokens));
}

Tokens gguf_tokens(const Json& metadata, const std::string& place) {
  Tokens tokens;
  const auto pieces = metadata.find("tokenizer.ggml.tokens");
  if (pieces == metadata.end() || !pieces->is_array()) return tokens;
  constexpr std::array<std::pair<const char*, const char*>, 4> kKeys = {
      {{"bos_token", "tokenizer.ggml.bos_token_id"},
       {"eos_token", "tokenizer.ggml.eos_token_id"},
       {"unk_token", "tokenizer.ggml.unknown_token_id"},
       {"pad_token", "tokenizer.ggml.padding_token_id"}}};
  for (const auto& [name, key] : kKeys) {
    const auto id = metadata.find(key);
    if (id == metadata.end()) continue;
    const std::int64_t index = as_integer(*id, place + ": " + key);
    if (index < 0 || static_cast<std::size_t>(index) >= pieces->size()) {
      fail(ErrorCode::bad_data, "{}: {} {} is no token", place, key, index);
    }
    tokens.emplace_back(name, as_text((*pieces)[static_cast<std::size_t>(index)],
                                      place + ": tokenizer.ggml.tokens"));
  }
  return tokens;
}

ChatTemplate from_gguf(const files::TensorFile& file, std::string_view variant) {
  const std::string place = base::printable(file.path().native(), 1000);
  const Json& metadata = file.metadata();
  Named templates;
  for (const auto& [key, value] : metadata.items()) {
    if (!key.starts_with(kGgufKey) || !value.is_string()) continue;
    const std::string_view rest = std::string_view(key).substr(kGgufKey.size());
    if (!rest.empty() && rest[0] != '.') continue;
    templates.emplace_back(rest.empty() ? "default" : std::string(rest.substr(1)),
                           value.get_ref<const std::string&>());
  }
  if (templates.empty()) {
    fail(ErrorCode::bad_data, "{}: the model has no chat template (no {} in the file)", place,
         kGgufKey);
  }
  return pick(templates, variant, place + ": " + std::string(kGgufKey),
              gguf_tokens(metadata, place));
}

}  // namespace

ChatTemplate load_chat_template(const files::ModelFiles& files, std::string_view variant) {
  const files::TensorFile weights = files::open_tensor_file(files.weights);
  return weights.format() == "gguf" ? from_gguf(weights, variant) : from_folder(files, variant);
}

}  // namespace assay::text
