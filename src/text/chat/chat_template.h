#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "files/tensor_file.h"
#include "text/chat/limits.h"
#include "text/chat/value.h"

namespace assay::text {

/// What a template is told besides the messages.
struct ChatOptions {
  /// End with what opens the assistant's turn.
  bool add_generation_prompt = false;
  /// Functions the model may call and documents it may quote, as JSON; none if not given.
  chat::Value tools = chat::None{};
  chat::Value documents = chat::None{};
  /// Further variables; they win over the model's special tokens of the same name.
  std::vector<std::pair<std::string, chat::Value>> extra;
  /// What strftime_now tells, in local time; the time of the call if empty.
  std::optional<std::chrono::system_clock::time_point> now;
  chat::Limits limits;
};

/// A model's chat template: the subset of Jinja that published templates use, with the settings of
/// `transformers` (trim_blocks, lstrip_blocks, loop controls, an immutable sandbox). It sees the
/// conversation and nothing else, and is bounded in steps, depth and output (text/chat/run.h).
/// Immutable and safe to share between threads.
class ChatTemplate {
 public:
  /// `name` stands in errors, `special_tokens` are variables ("bos_token", "<s>"). bad_data with
  /// the line: malformed, too large, or a construct that is not supported.
  [[nodiscard]] static ChatTemplate parse(
      std::string_view source, std::string name,
      std::vector<std::pair<std::string, std::string>> special_tokens = {});

  /// The text of a conversation: `messages` is a list of dicts (text/chat/value.h makes them from
  /// JSON). bad_data with the line where the template fails, refuses the conversation by
  /// raise_exception, or exceeds a limit.
  [[nodiscard]] std::string render(const chat::Value& messages,
                                   const ChatOptions& options = {}) const;

 private:
  struct Parsed;
  std::shared_ptr<const Parsed> parsed_;
};

/// The template that comes with a model: chat_template.jinja or `chat_template` of
/// tokenizer_config.json (a string, or a list of {name, template}), and for GGUF
/// tokenizer.chat_template[.variant]. bad_data saying where it was looked for, or which variants
/// there are.
[[nodiscard]] ChatTemplate load_chat_template(const files::ModelFiles& files,
                                              std::string_view variant = "default");

}  // namespace assay::text
