#pragma once

#include <fmt/core.h>

#include <chrono>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

#include "text/chat/limits.h"
#include "text/chat/value.h"

namespace assay::text::chat {

// A template comes with the model, from strangers: what it may use up is bounded (limits.h, too).
/// Bytes of a template's source.
inline constexpr std::size_t kMaxTemplateBytes = std::size_t{1} << 20;
/// Nesting of expressions and of blocks in a template.
inline constexpr int kMaxSyntaxDepth = 200;
/// Nodes of the template under evaluation at one time: bounds recursion through macros.
inline constexpr int kMaxDepth = 600;
/// Containers within containers.
inline constexpr int kMaxNesting = 200;
/// Items of range(), as in jinja2's sandbox.
inline constexpr std::int64_t kMaxRange = 100'000;

/// bad_data: "<template>: line <line>: <what>".
[[noreturn]] void fail_at(const std::string& name, int line, std::string_view what);

/// One rendering: where it is, what it has used up, and what it owns.
class Run {
 public:
  using Clock = std::chrono::system_clock;

  Run(std::string name, Clock::time_point now, Limits limits)
      : name_(std::move(name)), now_(now), limits_(limits) {}
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  void at(int line) { line_ = line; }
  [[nodiscard]] int line() const { return line_; }
  [[nodiscard]] Clock::time_point now() const { return now_; }

  template <typename... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    fail_at(name_, line_, fmt::format(format, std::forward<Args>(args)...));
  }

  void charge(std::size_t steps = 1) {
    steps_ += steps;
    if (steps_ > limits_.steps) fail("takes more than {} steps", limits_.steps);
  }
  void charge_text(std::size_t bytes) { charge(1 + bytes / 16); }
  /// Before a text grows to `bytes`.
  void check_text(std::size_t bytes) const {
    if (bytes > limits_.text_bytes) {
      fail("makes a text of more than {} bytes", limits_.text_bytes);
    }
  }
  /// Before a text of `each` bytes is made `times` over.
  void check_text(std::size_t times, std::size_t each) const {
    if (each > 0 && times > limits_.text_bytes / each) check_text(limits_.text_bytes + 1);
  }
  void append(std::string& out, std::string_view piece) const {
    check_text(out.size() + piece.size());
    out.append(piece);
  }

  [[nodiscard]] Value text(std::string text) {
    check_text(text.size());
    charge_text(text.size());
    return std::make_shared<const std::string>(std::move(text));
  }
  [[nodiscard]] Value list(std::vector<Value> items, Flavor flavor = Flavor::list) {
    charge(1 + items.size());
    return checked(list_of(std::move(items), flavor));
  }
  [[nodiscard]] Value iterator(std::vector<Value> items) {
    charge(1 + items.size());
    return checked(std::make_shared<Iterator>(Iterator{std::move(items), 0}));
  }
  [[nodiscard]] Value dict(std::shared_ptr<Dict> dict) {
    charge(1 + 8 * dict->entries.size());
    return checked(Value::DictRef(std::move(dict)));
  }
  [[nodiscard]] Namespace& make_namespace() {
    charge(8);
    return namespaces_.emplace_back();
  }

  /// Holds one level of recursion.
  class Level {
   public:
    explicit Level(Run& run) : run_(run) {
      if (++run_.depth_ > kMaxDepth) run_.fail("recursion deeper than {}", kMaxDepth);
    }
    ~Level() { --run_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Run& run_;
  };

 private:
  Value checked(Value value) const {
    if (value.nesting() > kMaxNesting) fail("lists nested deeper than {}", kMaxNesting);
    return value;
  }

  std::string name_;
  Clock::time_point now_;
  Limits limits_;
  int line_ = 1;
  int depth_ = 0;
  std::size_t steps_ = 0;
  std::deque<Namespace> namespaces_;
};

/// The arguments of a call.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

/// Arguments by parameter name. Errors name the function.
class Bound {
 public:
  Bound(Run& run, std::string_view function, const Arguments& arguments,
        std::initializer_list<std::string_view> parameters);

  /// nullptr if it was not given.
  [[nodiscard]] const Value* find(std::size_t parameter) const { return values_[parameter]; }
  [[nodiscard]] const Value& at(std::size_t parameter) const;
  [[nodiscard]] bool flag(std::size_t parameter, bool otherwise) const;
  /// As find, but nullptr for none, too.
  [[nodiscard]] const Value* given(std::size_t parameter) const;
  [[nodiscard]] std::int64_t integer(std::size_t parameter, std::int64_t otherwise) const;
  [[nodiscard]] const std::string& text(std::size_t parameter) const;

 private:
  Run& run_;
  std::string_view function_;
  std::vector<std::string_view> names_;
  std::vector<const Value*> values_;
};

}  // namespace assay::text::chat
