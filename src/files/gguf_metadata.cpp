#include "files/gguf_metadata.h"

#include <array>
#include <bit>

namespace assay::files {

namespace {

constexpr std::uint64_t kLongestKey = 65535;
constexpr std::uint32_t kArray = 9;
constexpr std::uint64_t kLargestAlignment = std::uint64_t{1} << 20;
// Allocated sizes of a JSON value in an array, of a text's object, and of a member of an object.
constexpr std::uint64_t kValueCost = sizeof(Json);
constexpr std::uint64_t kTextCost = 48;
constexpr std::uint64_t kMemberCost = 128;

using ReadValue = Json (*)(GgufCursor&, TensorFileBuilder&);

template <typename T>
Json read_number(GgufCursor& cursor, TensorFileBuilder& /*builder*/) {
  return cursor.number<T>("a value");
}

Json read_bool(GgufCursor& cursor, TensorFileBuilder& /*builder*/) {
  const std::uint64_t at = cursor.position();
  const auto value = cursor.number<std::uint8_t>("a truth value");
  if (value > 1) cursor.fail_at(at, "a truth value must be 0 or 1, not {}", value);
  return value == 1;
}

Json read_text(GgufCursor& cursor, TensorFileBuilder& builder) {
  const std::uint64_t at = cursor.position();
  const std::string_view text = cursor.text("a text", kHeaderBudget);
  // A short text lies inside its object.
  const std::uint64_t outside = text.size() < 16 ? 0 : text.size() + 24;
  builder.charge(1, kTextCost + outside, cursor.field(), at);
  return std::string(text);
}

struct ValueType {
  std::uint64_t smallest;  ///< bytes in the file
  ReadValue read;          ///< nullptr for the array
};

// By ggml's number of the type.
constexpr std::array<ValueType, 13> kTypes = {{{1, read_number<std::uint8_t>},
                                               {1, read_number<std::int8_t>},
                                               {2, read_number<std::uint16_t>},
                                               {2, read_number<std::int16_t>},
                                               {4, read_number<std::uint32_t>},
                                               {4, read_number<std::int32_t>},
                                               {4, read_number<float>},
                                               {1, read_bool},
                                               {8, read_text},
                                               {12, nullptr},
                                               {8, read_number<std::uint64_t>},
                                               {8, read_number<std::int64_t>},
                                               {8, read_number<double>}}};

std::uint32_t read_type(GgufCursor& cursor) {
  const std::uint64_t at = cursor.position();
  const auto type = cursor.number<std::uint32_t>("the type");
  if (type >= kTypes.size()) cursor.fail_at(at, "unknown value type {}", type);
  return type;
}

Json read_array(GgufCursor& cursor, TensorFileBuilder& builder) {
  const std::uint64_t type_at = cursor.position();
  const ValueType& type = kTypes[read_type(cursor)];
  if (type.read == nullptr) cursor.fail_at(type_at, "an array of arrays is not supported");
  const std::uint64_t count_at = cursor.position();
  const std::uint64_t count = cursor.count("the number of elements", type.smallest);
  builder.charge(count, kValueCost, cursor.field(), count_at);
  Json::array_t elements;
  elements.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) elements.push_back(type.read(cursor, builder));
  return elements;
}

std::string read_key(GgufCursor& cursor, std::uint64_t index) {
  cursor.enter(fmt::format("key {}", index));
  const std::uint64_t at = cursor.position();
  const std::string_view key = cursor.text("the key", kLongestKey);
  if (key.empty()) cursor.fail_at(at, "the key is empty");
  return std::string(key);
}

std::uint64_t checked_alignment(const Json& value, GgufCursor& cursor, std::uint64_t at) {
  if (!value.is_number_unsigned()) cursor.fail_at(at, "must be an unsigned integer");
  const auto alignment = value.get<std::uint64_t>();
  if (!std::has_single_bit(alignment) || alignment < 8 || alignment > kLargestAlignment) {
    cursor.fail_at(at, "must be a power of two from 8 to {}, not {}", kLargestAlignment, alignment);
  }
  return alignment;
}

}  // namespace

GgufMetadata read_gguf_metadata(GgufCursor& cursor, std::uint64_t count,
                                TensorFileBuilder& builder) {
  GgufMetadata metadata;
  auto& members = metadata.values.get_ref<Json::object_t&>();
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t at = cursor.position();
    const std::string key = read_key(cursor, i);
    cursor.enter(key);
    builder.charge(1, kMemberCost + key.size(), key, at);
    const auto [member, inserted] = members.try_emplace(key);
    if (!inserted) cursor.fail_at(at, "the key is there twice");
    const std::uint32_t type = read_type(cursor);
    const std::uint64_t value_at = cursor.position();
    member->second =
        type == kArray ? read_array(cursor, builder) : kTypes[type].read(cursor, builder);
    if (key == "general.alignment") {
      metadata.alignment = checked_alignment(member->second, cursor, value_at);
    }
  }
  return metadata;
}

}  // namespace assay::files
