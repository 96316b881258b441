#include "fuzz/target.h"
#include "text/chat/chat_template.h"

namespace assay::fuzz {

using text::ChatTemplate;
namespace chat = text::chat;

/// Every kind of turn that templates tell apart.
constexpr std::string_view kMessages = R"([
  {"role": "system", "content": "Be\n kind. "},
  {"role": "user", "content": "Łódź?"},
  {"role": "assistant", "content": "<think>\nhm\n</think>\n\n", "reasoning_content": "So.\n",
   "tool_calls": [{"type": "function", "id": "abc123456",
                   "function": {"name": "weather", "arguments": {"days": 3, "exact": true, "x": null}}}]},
  {"role": "tool", "tool_call_id": "abc123456", "name": "weather", "content": "{\"t\": -3.5}"},
  {"role": "user", "content": [{"type": "text", "text": "Why \"so\" & 'thus'?"}, {"type": "image"}]}])";
constexpr std::string_view kTools = R"([
  {"type": "function",
   "function": {"name": "weather", "description": "Tells it.",
                "parameters": {"type": "object", "required": ["days"],
                               "properties": {"days": {"type": "integer", "default": 1},
                                              "of": {"type": "array", "items": {"type": ["string", "null"]}}}}}}])";

/// Small enough that no template takes longer than other inputs of its size; that the program's own
/// limits hold is what tests/text/chat_test.cpp shows.
constexpr chat::Limits kLimits = {.steps = 50'000, .text_bytes = 64 << 10};

static void run(std::string_view input) {
  static const chat::Value messages = chat::parse_value(kMessages, "messages");
  static const chat::Value tools = chat::parse_value(kTools, "tools");
  const ChatTemplate parsed =
      ChatTemplate::parse(input, "chat_template", {{"bos_token", "<s>"}, {"eos_token", "</s>"}});
  text::ChatOptions options{.add_generation_prompt = true,
                            .tools = tools,
                            .now = std::chrono::system_clock::time_point{},
                            .limits = kLimits};
  static_cast<void>(parsed.render(messages, options));
}

const Target kChat = {"chat", run};

}  // namespace assay::fuzz
