#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

// The values that a chat template computes with: those of JSON, and what its language adds. They
// behave as Python's do, because that is what templates are written against.
namespace assay::text::chat {

class Value;
struct Dict;
struct Sequence;
struct Iterator;
struct Namespace;
struct Loop;
struct Function;

struct None {};

/// A name or attribute that is not there: prints as nothing, iterates as empty; any other use is an
/// error that says `why`.
struct Undefined {
  std::shared_ptr<const std::string> why;
};

/// How a sequence came to be decides how it prints and what it can do.
enum class Flavor : std::uint8_t { list, tuple, range, keys, values, items };

/// Immutable but for namespaces, iterators and loops; cheap to copy. Text is valid UTF-8.
class Value {
 public:
  using Text = std::shared_ptr<const std::string>;
  using SequenceRef = std::shared_ptr<const Sequence>;
  using DictRef = std::shared_ptr<const Dict>;
  using Storage = std::variant<Undefined, None, bool, std::int64_t, double, Text, SequenceRef,
                               DictRef, std::shared_ptr<Iterator>, Namespace*,
                               std::shared_ptr<Loop>, std::shared_ptr<const Function>>;

  Value() = default;
  Value(None none) : storage_(none) {}
  Value(bool value) : storage_(value) {}
  Value(std::int64_t value) : storage_(value) {}
  Value(double value) : storage_(value) {}
  /// Invalid UTF-8 is replaced by U+FFFD.
  Value(std::string text);
  Value(std::string_view text) : Value(std::string(text)) {}
  Value(const char* text) : Value(std::string(text)) {}
  Value(Text text) : storage_(std::move(text)) {}
  Value(SequenceRef sequence) : storage_(std::move(sequence)) {}
  Value(DictRef dict) : storage_(std::move(dict)) {}
  Value(std::shared_ptr<Iterator> iterator) : storage_(std::move(iterator)) {}
  Value(Namespace* names) : storage_(names) {}
  Value(std::shared_ptr<Loop> loop) : storage_(std::move(loop)) {}
  Value(std::shared_ptr<const Function> function) : storage_(std::move(function)) {}
  static Value undefined(std::string why);

  [[nodiscard]] bool is_undefined() const { return holds<Undefined>(); }
  [[nodiscard]] bool is_none() const { return holds<None>(); }
  [[nodiscard]] bool is_bool() const { return holds<bool>(); }
  [[nodiscard]] bool is_integer() const { return holds<std::int64_t>(); }
  [[nodiscard]] bool is_real() const { return holds<double>(); }
  [[nodiscard]] bool is_number() const { return is_bool() || is_integer() || is_real(); }
  [[nodiscard]] bool is_text() const { return holds<Text>(); }
  [[nodiscard]] bool is_sequence(Flavor flavor) const;

  /// nullptr where the value is of another kind.
  [[nodiscard]] const std::string* text() const;
  [[nodiscard]] const Sequence* sequence() const;
  [[nodiscard]] const Dict* dict() const;
  [[nodiscard]] Iterator* iterator() const;
  [[nodiscard]] Namespace* names() const;
  [[nodiscard]] Loop* loop() const;
  [[nodiscard]] const Function* function() const;
  [[nodiscard]] const bool* boolean() const { return std::get_if<bool>(&storage_); }
  [[nodiscard]] const std::int64_t* integer() const { return std::get_if<std::int64_t>(&storage_); }
  [[nodiscard]] const double* real() const { return std::get_if<double>(&storage_); }
  /// The reason of an undefined value.
  [[nodiscard]] std::string_view why() const;

  /// Containers within containers; 0 for scalars.
  [[nodiscard]] int nesting() const;
  /// As Python names it: "str", "NoneType".
  [[nodiscard]] std::string_view type_name() const;

 private:
  template <typename T>
  [[nodiscard]] bool holds() const {
    return std::holds_alternative<T>(storage_);
  }
  template <typename T>
  [[nodiscard]] T* pointer() const {
    const auto* shared = std::get_if<std::shared_ptr<T>>(&storage_);
    return shared == nullptr ? nullptr : shared->get();
  }

  Storage storage_;
};

struct Sequence {
  std::vector<Value> items;
  Flavor flavor = Flavor::list;
  int nesting = 1;
};

/// Keys keep the order of insertion.
struct Dict {
  using Entry = std::pair<Value, Value>;

  Dict() = default;
  Dict(const Dict&) = delete;  // the index points into the keys
  Dict& operator=(const Dict&) = delete;

  /// Replaces the value of an equal key. Keys are scalars; false if `key` is none, or there are
  /// more keys that are no text than are searched one by one.
  bool insert(Value key, Value value);
  [[nodiscard]] const Value* find(const Value& key) const;
  [[nodiscard]] const Value* find(std::string_view key) const;

  std::vector<Entry> entries;
  int nesting = 1;

 private:
  /// entries.size() where the key is not there.
  [[nodiscard]] std::size_t position(const Value& key) const;

  std::unordered_map<std::string_view, std::size_t> by_text_;
  std::vector<std::size_t> others_;
};

/// Can be walked once, as Python's generators: what map, select and reverse return.
struct Iterator {
  std::vector<Value> items;
  std::size_t next = 0;
};

/// What {% set ns.name = ... %} writes to; owned by the run.
struct Namespace {
  std::unordered_map<std::string, Value> values;
};

/// The variable `loop`.
struct Loop {
  std::vector<Value> items;  ///< those known so far
  std::size_t index0 = 0;
  std::int64_t depth0 = 0;
  std::vector<Value> changed;
  bool was_called = false;
  /// Appends the next item that passes the loop's condition; false at the end. May be empty.
  std::function<bool(std::vector<Value>&)> more;

  [[nodiscard]] bool has(std::size_t index);
  [[nodiscard]] std::int64_t length();
};

struct Statement;
struct Scope;

/// A macro, a method bound to its value, or a global function.
struct Function {
  const Statement* macro = nullptr;
  Scope* scope = nullptr;  ///< in which the macro was defined
  Value self;
  std::string name;
};

/// A list (or tuple), with its nesting.
[[nodiscard]] Value list_of(std::vector<Value> items, Flavor flavor = Flavor::list);
[[nodiscard]] Value function_named(std::string name, Value self = {});

/// Equality of scalars as dict keys have it: 1, 1.0 and true are one key.
[[nodiscard]] bool same_scalar(const Value& a, const Value& b);

/// From JSON text, keys in their order; limits and errors as base::parse_json. Integers beyond 64
/// bits become floating.
[[nodiscard]] Value parse_value(std::string_view json, const std::string& source);

/// {"role": role, "content": content}.
[[nodiscard]] Value message(std::string_view role, std::string_view content);

}  // namespace assay::text::chat
