// Chat templates against transformers' rendering (tests/golden/scripts/make_chat_golden.py), and
// the limits that keep a stranger's template harmless.
#include <gtest/gtest.h>

#include <chrono>
#include <ctime>

#include "base/cpu_clock.h"
#include "base/io.h"
#include "text/chat/chat_template.h"
#include "text/chat/run.h"
#include "text/support.h"

namespace assay::text {
namespace {

using std::chrono::system_clock;

Json chat_golden(const std::string& name) {
  return base::read_json(std::filesystem::path(ASSAY_GOLDEN_DIR) / "chat" / name);
}

/// The clock of the golden files: 2024-07-26 14:05:09.120034, local time.
system_clock::time_point golden_now() {
  std::tm parts{};
  parts.tm_year = 124;
  parts.tm_mon = 6;
  parts.tm_mday = 26;
  parts.tm_hour = 14;
  parts.tm_min = 5;
  parts.tm_sec = 9;
  parts.tm_isdst = -1;
  return system_clock::from_time_t(std::mktime(&parts)) + std::chrono::microseconds(120034);
}

/// Conversations, tools and tokens, their keys in the order in which they are written.
const chat::Dict& golden_input() {
  static const chat::Value input = chat::parse_value(
      base::read_text(std::filesystem::path(ASSAY_GOLDEN_DIR) / "chat" / "conversations.json"),
      "conversations.json");
  return *input.dict();
}
const chat::Value& conversation(const std::string& name) {
  return *golden_input()
              .find(std::string_view("conversations"))
              ->dict()
              ->find(std::string_view(name));
}

using Tokens = std::vector<std::pair<std::string, std::string>>;
const Tokens kTokens = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};

std::string render(const std::string& source, const chat::Value& messages = chat::list_of({})) {
  ChatOptions options;
  options.now = golden_now();
  return ChatTemplate::parse(source, "test", kTokens).render(messages, options);
}

/// Holds what `make` returns against the golden text, or expects an error where that has one.
template <typename Make>
void check(const Json& expected, const Make& make, const std::string& what) {
  if (expected.contains("error")) {
    EXPECT_THROW(
        {
          const std::string text = make();
          ADD_FAILURE() << what << " gives " << text;
        },
        Error)
        << what;
    return;
  }
  try {
    EXPECT_EQ(make(), expected.at("text").get<std::string>()) << what;
  } catch (const Error& error) {
    ADD_FAILURE() << what << ": " << error.what();
  }
}

void check_cases(const ChatTemplate& chat_template, const std::string& name, const Json& cases) {
  for (const Json& one : cases) {
    const std::string messages = one.at("conversation");
    ChatOptions options{.add_generation_prompt = one.at("generation").get<bool>(),
                        .now = golden_now()};
    if (one.at("tools").get<bool>())
      options.tools = *golden_input().find(std::string_view("tools"));
    check(
        one, [&] { return chat_template.render(conversation(messages), options); },
        name + ": " + messages);
  }
}

TEST(Chat, TemplatesLikeThePublishedOnes) {
  const Json templates = chat_golden("templates.json");
  ASSERT_EQ(templates.size(), 6u);
  for (const Json& one : templates) {
    const std::string name = one.at("name");
    ASSERT_EQ(one.at("cases").size(), 48u) << name;
    check_cases(ChatTemplate::parse(one.at("template").get<std::string>(), name, kTokens), name,
                one["cases"]);
  }
}

TEST(Chat, Expressions) {
  const Json expressions = chat_golden("expressions.json");
  ASSERT_GE(expressions.size(), 129u);
  for (const Json& one : expressions) {
    const std::string source = one.at("template");
    check(
        one, [&] { return render(source, conversation("turns")); }, source);
  }
}

TEST(Chat, SmolLm2FromItsGguf) {
  const auto file = real_model("ASSAY_SMOLLM2");
  if (file.empty()) GTEST_SKIP() << "ASSAY_SMOLLM2 names no GGUF file of SmolLM2";
  const Json cases = chat_golden("smollm2.json");
  ASSERT_EQ(cases.size(), 48u);
  check_cases(load_chat_template(files::locate_model(file)), "SmolLM2", cases);
}

/// A template that would take all the time or memory there is.
struct Hostile {
  std::string source;
  std::string reason;  ///< part of the error
};

std::string repeated(const std::string& what, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += what;
  return out;
}

/// "{% set ns = ... %}", a loop of `count` turns around `body`.
std::string looped(const std::string& body, int count = 100'000) {
  return "{% set ns = namespace(s='ab', l=[1], d={}) %}{% for i in range(" + std::to_string(count) +
         ") %}" + body + "{% endfor %}";
}

std::vector<Hostile> hostile_templates() {
  const std::string megabyte = "{% set ns = namespace(s='a' * 1000000) %}";
  const auto again = [&](const std::string& expression) {
    return megabyte + "{% for i in range(100000) %}{% if " + expression +
           " %}x{% endif %}{% endfor %}";
  };
  return {
      {looped("{% for j in range(100000) %}{% endfor %}"), "steps"},
      {looped("{% set ns.s = ns.s ~ ns.s %}"), "a text of more than"},
      {looped("{% set ns.s = ns.s + ns.s %}"), "a text of more than"},
      {looped("{% set ns.l = ns.l + ns.l %}"), "steps"},
      {looped("{% set ns.l = [ns.l, ns.l] %}"), "nested deeper"},
      {looped("{% set ns.d = {'a': ns.d} %}"), "nested deeper"},
      {"{% set ns = namespace(l=1) %}" + repeated("{% set ns.l = [ns.l, ns.l] %}", 100) +
           "{{ ns.l }}",
       "steps"},
      {looped("{{ 'x' * 1000000 }}"), "a text of more than"},
      {looped("{{ ('x' * 1000000)[:1] }}"), "steps"},
      {"{{ 'x' * 9000000000000000000 }}", "a text of more than"},
      {"{{ [1, 2] * 9000000000000000000 }}", "steps"},
      {"{{ range(9000000000000000000) | list }}", "range()"},
      {"{{ '%999999999s' % 1 }}", "a text of more than"},
      {"{{ '{:>999999999}'.format(1) }}", "a text of more than"},
      {"{{ '1'.zfill(999999999) }}", "a text of more than"},
      {looped("{{ '' | indent(16000000) }}"), "steps"},
      {looped("{{ [] | tojson(indent=16000000) }}"), "steps"},
      {looped("{{ strftime_now('') }}" + repeated("{{ strftime_now('%A%B') }}", 100)), "steps"},
      {"{{ ('ab' * 8000000).replace('a', 'aaaaaaaa') }}", "a text of more than"},
      {again("ns.s.strip('bcdefa')"), "steps"},
      {again("ns.s | trim('bcdefa')"), "steps"},
      {again("('a' * 500000 ~ 'b') in ns.s"), "steps"},
      {again("ns.s.rfind('b' ~ 'a' * 500000)"), "steps"},
      {again("ns.s.split('a' * 5 ~ 'b') == 1"), "steps"},
      {again("ns.s.rsplit('a') == 1"), "steps"},
      {again("{ns.s: 1}[ns.s] == 2"), "steps"},
      {again("ns.s.upper() == 1"), "steps"},
      {again("ns.s | length == 1"), "steps"},
      {again("ns.s[500000] == 'b'"), "steps"},
      {looped("{{ range(100000) | sort | unique | list | length }}"), "steps"},
      {"{% macro m(n) %}{{ m(n) }}{% endmacro %}{{ m(1) }}", "recursion deeper"},
      {"{% macro m(n) %}{% call m(n) %}{% endcall %}{{ caller is defined }}{% endmacro %}"
       "{% call m(1) %}{% endcall %}",
       "recursion deeper"},
      {"{{ " + repeated("(", 100'000), "nested deeper"},
      {"{{ " + repeated("[", 100'000), "nested deeper"},
      {"{{ " + repeated("not ", 100'000), "nested deeper"},
      {"{{ " + repeated("-", 100'000), "nested deeper"},
      {"{{ 1" + repeated(" + 1", 100'000) + " }}", "nested deeper"},
      {"{{ a" + repeated(".b", 100'000) + " }}", "nested deeper"},
      {"{{ a" + repeated("|d", 100'000) + " }}", "nested deeper"},
      {"{{ 1" + repeated(" if 1 else 1", 50'000) + " }}", "nested deeper"},
      {repeated("{% if 1 %}", 50'000), "nested deeper"},
      {repeated("{% set ", 1) + repeated("(", 100'000), "nested deeper"},
      {std::string(2 << 20, 'x'), "bytes"},
  };
}

TEST(Chat, HostileTemplatesEndSoon) {
  for (const Hostile& one : hostile_templates()) {
    const std::string shown = one.source.substr(0, 100);
    const testing::CpuClock clock;
    expect_error(ErrorCode::bad_data, {"test: line 1", one.reason.c_str()},
                 [&] { static_cast<void>(render(one.source)); });
    const double taken = clock.seconds();
    RecordProperty("seconds", std::to_string(taken));
    EXPECT_LT(taken, 20) << shown;
    if (taken > 1) std::printf("%.2f s: %s\n", taken, shown.c_str());
  }
}

TEST(Chat, NamespacesThatHoldThemselvesAreHarmless) {
  EXPECT_EQ(render("{% set ns = namespace() %}{% set ns.a = ns %}{{ ns.a.a.a is defined }}"),
            "True");
  expect_error(ErrorCode::bad_data, {"Namespace"}, [] {
    static_cast<void>(render("{% set ns = namespace() %}{% set ns.a = [ns] %}{{ ns.a }}"));
  });
}

TEST(Chat, ErrorsNameTemplateAndLine) {
  expect_error(ErrorCode::bad_data, {"test: line 3", "refuses this conversation: no system turn"},
               [] { static_cast<void>(render("a\n\n{{ raise_exception('no system turn') }}")); });
  expect_error(ErrorCode::bad_data, {"test: line 2", "'nope'"},
               [] { static_cast<void>(render("a\n{{ messages | nope }}")); });
}

TEST(Chat, SeesNothingButTheConversation) {
  for (const char* name : {"self", "request", "config", "cycler", "joiner", "lipsum", "open",
                           "__builtins__", "environ", "getattr"}) {
    EXPECT_EQ(render(std::string("{{ ") + name + " is defined }}"), "False") << name;
  }
  for (const char* source :
       {"{% import 'a' as b %}", "{% from 'a' import b %}", "{% extends 'a' %}",
        "{% block a %}{% endblock %}", "{{ ''.__class__.x }}", "{{ messages.__len__() }}"}) {
    EXPECT_THROW(static_cast<void>(render(source)), Error) << source;
  }
}

}  // namespace
}  // namespace assay::text
