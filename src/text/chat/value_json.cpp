#include "base/json_events.h"
#include "text/chat/value.h"

namespace assay::text::chat {
namespace {

/// Builds a value, one open container on the stack per level.
class Builder : public base::JsonEvents {
 public:
  void begin_object() override { open_.emplace_back().dict = std::make_shared<Dict>(); }
  void begin_array() override { open_.emplace_back(); }
  void key(std::string&& name, std::size_t /*position*/) override {
    open_.back().key = Value(std::move(name));
  }
  void end_object() override {
    Value done{Value::DictRef(std::move(open_.back().dict))};
    open_.pop_back();
    place(std::move(done));
  }
  void end_array() override {
    Value done = list_of(std::move(open_.back().items));
    open_.pop_back();
    place(std::move(done));
  }
  void scalar(Json&& value) override { place(converted(value)); }

  Value take() { return std::move(root_); }

 private:
  struct Open {
    std::shared_ptr<Dict> dict;  ///< null for an array
    Value key;
    std::vector<Value> items;
  };

  static Value converted(const Json& value) {
    if (value.is_null()) return None{};
    if (value.is_boolean()) return value.get<bool>();
    if (value.is_string()) return value.get_ref<const std::string&>();
    constexpr auto kMost = static_cast<std::uint64_t>(INT64_MAX);
    if (value.is_number_unsigned() && value.get<std::uint64_t>() > kMost)
      return value.get<double>();
    if (value.is_number_integer()) return value.get<std::int64_t>();
    return value.get<double>();
  }

  void place(Value value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (open_.back().dict) {
      open_.back().dict->insert(std::move(open_.back().key), std::move(value));
    } else {
      open_.back().items.push_back(std::move(value));
    }
  }

  std::vector<Open> open_;
  Value root_;
};

}  // namespace

Value parse_value(std::string_view json, const std::string& source) {
  Builder builder;
  base::read_json_events(json, source + ":", builder);
  return builder.take();
}

}  // namespace assay::text::chat
