#include "text/chat/chat_template.h"

#include <algorithm>

#include "base/error.h"
#include "text/chat/interpreter.h"
#include "text/chat/parser.h"
#include "text/chat/run.h"

namespace assay::text {
namespace {

using chat::Dict;
using chat::Value;

/// A message whose reasoning goes by any of its names has it under all that templates read.
Value with_reasoning(const Value& message) {
  const Dict& dict = *message.dict();
  const Value* reasoning = nullptr;
  for (const char* name : {"reasoning_content", "thinking", "reasoning"}) {
    const Value* found = dict.find(std::string_view(name));
    if (reasoning == nullptr && found != nullptr && !found->is_none()) reasoning = found;
  }
  if (reasoning == nullptr) return message;
  auto made = std::make_shared<Dict>();
  made->insert("thinking", *reasoning);
  for (const auto& [key, value] : dict.entries) made->insert(key, value);
  made->insert("reasoning_content", *reasoning);
  return Value::DictRef(std::move(made));
}

Value checked_messages(const Value& messages, const std::string& name) {
  if (!messages.is_sequence(chat::Flavor::list)) {
    fail(ErrorCode::bad_data, "{}: the messages must be a list, not {}", name,
         messages.type_name());
  }
  std::vector<Value> made;
  for (const Value& message : messages.sequence()->items) {
    if (message.dict() == nullptr) {
      fail(ErrorCode::bad_data, "{}: message {} must be an object, not {}", name, made.size(),
           message.type_name());
    }
    made.push_back(with_reasoning(message));
  }
  return chat::list_of(std::move(made));
}

}  // namespace

struct ChatTemplate::Parsed {
  std::string name;
  std::vector<std::pair<std::string, std::string>> special_tokens;
  chat::Block block;
};

ChatTemplate ChatTemplate::parse(std::string_view source, std::string name,
                                 std::vector<std::pair<std::string, std::string>> special_tokens) {
  auto parsed = std::make_shared<Parsed>();
  parsed->name = std::move(name);
  parsed->special_tokens = std::move(special_tokens);
  parsed->block = chat::parse_template(source, parsed->name);
  ChatTemplate made;
  made.parsed_ = std::move(parsed);
  return made;
}

std::string ChatTemplate::render(const chat::Value& messages, const ChatOptions& options) const {
  std::vector<std::pair<std::string, Value>> context;
  for (const auto& [name, token] : parsed_->special_tokens) context.emplace_back(name, token);
  context.insert(context.end(), options.extra.begin(), options.extra.end());
  context.emplace_back("messages", checked_messages(messages, parsed_->name));
  context.emplace_back("tools", options.tools);
  context.emplace_back("documents", options.documents);
  context.emplace_back("add_generation_prompt", options.add_generation_prompt);
  chat::Run run(parsed_->name, options.now.value_or(std::chrono::system_clock::now()),
                options.limits);
  return chat::Interpreter(run, context).render(parsed_->block);
}

}  // namespace assay::text
