#include "files/safetensors.h"

#include <array>
#include <bit>
#include <cstring>
#include <limits>

#include "base/io.h"
#include "base/json_events.h"

namespace assay::files {

namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeader = 100'000'000;
constexpr std::size_t kMaxShapeNumbers = 64;
constexpr std::string_view kMetadata = "__metadata__";

/// Turns the header's events into tensors one at a time, so that memory holds the tensors but never
/// a document of the whole header.
class HeaderReader : public base::JsonEvents {
 public:
  HeaderReader(const RawFile& file, std::uint64_t data_begin, TensorFileBuilder& builder)
      : file_(file), data_begin_(data_begin), builder_(builder) {}

  [[nodiscard]] Json take_metadata() { return std::move(metadata_); }

  void begin_object() override {
    if (state_ == State::start) {
      state_ = State::top;
    } else if (state_ == State::entry) {
      entry_ = {};
      state_ = name_ == kMetadata ? State::metadata : State::tensor;
    } else {
      wrong_type();
    }
  }

  void end_object() override {
    if (state_ == State::tensor) finish_tensor();
    state_ = State::top;
  }

  void begin_array() override {
    if (state_ != State::field || field_ == Field::dtype) wrong_type();
    state_ = State::array;
  }

  void end_array() override { state_ = State::tensor; }

  void key(std::string&& name, std::size_t position) override {
    if (state_ == State::top) {
      name_ = std::move(name);
      position_ = position;
      if (name_ == kMetadata && !metadata_.is_null()) fail_here("the key is there twice");
      if (name_ == kMetadata) metadata_ = Json::object();
      state_ = State::entry;
    } else if (state_ == State::metadata) {
      add_metadata_key(std::move(name), position);
    } else {
      choose_field(name);
    }
  }

  void scalar(Json&& value) override {
    if (state_ == State::text) {
      add_metadata_text(std::move(value));
    } else if (state_ == State::array) {
      add_number(value);
    } else if (state_ == State::field && field_ == Field::dtype && value.is_string()) {
      entry_.dtype = find_safetensors_type(value.get_ref<const std::string&>());
      if (entry_.dtype == nullptr) {
        fail_here("unknown dtype '{}'", base::printable(value.get_ref<const std::string&>(), 40));
      }
      state_ = State::tensor;
    } else {
      wrong_type();
    }
  }

 private:
  /// What the next event must belong to.
  enum class State : std::uint8_t { start, top, entry, metadata, text, tensor, field, array };
  enum class Field : std::uint8_t { dtype, shape, data_offsets };
  static constexpr std::array<std::string_view, 3> kFields = {"dtype", "shape", "data_offsets"};

  struct Entry {
    unsigned seen = 0;  ///< bit per Field
    const StoredType* dtype = nullptr;
    std::vector<std::int64_t> shape;
    std::vector<std::int64_t> offsets;
  };

  template <typename... Args>
  [[noreturn]] void fail_here(fmt::format_string<Args...> format, Args&&... args) const {
    fail_field(file_.path, state_ == State::start ? "header" : name_, position_, format,
               std::forward<Args>(args)...);
  }

  [[noreturn]] void wrong_type() const {
    switch (state_) {
      case State::start:
        fail_here("must be a JSON object");
      case State::entry:
        fail_here("must be an object");
      case State::text:
        fail_here("must be a string");
      case State::array:
        fail_here("{} must hold non-negative integers", field_name());
      default:
        fail_here("{} must be {}", field_name(),
                  field_ == Field::dtype ? "a string" : "an array of integers");
    }
  }

  [[nodiscard]] std::string_view field_name() const {
    return kFields[static_cast<std::size_t>(field_)];
  }

  void choose_field(const std::string& name) {
    std::size_t index = 0;
    while (index < kFields.size() && kFields[index] != name) ++index;
    if (index == kFields.size()) fail_here("unknown key '{}'", base::printable(name, 40));
    if ((entry_.seen >> index & 1U) != 0) fail_here("{} is there twice", name);
    entry_.seen |= 1U << index;
    field_ = static_cast<Field>(index);
    state_ = State::field;
  }

  void add_number(const Json& value) {
    constexpr std::uint64_t kLargest = std::numeric_limits<std::int64_t>::max();
    if (!value.is_number_unsigned()) wrong_type();
    if (value.get<std::uint64_t>() > kLargest) fail_here("{} overflows", field_name());
    auto& numbers = field_ == Field::shape ? entry_.shape : entry_.offsets;
    if (numbers.size() == kMaxShapeNumbers) {
      fail_here("{} has more than {} numbers", field_name(), kMaxShapeNumbers);
    }
    numbers.push_back(value.get<std::int64_t>());
  }

  void finish_tensor() {
    for (std::size_t i = 0; i < kFields.size(); ++i) {
      if ((entry_.seen >> i & 1U) == 0) fail_here("{} is missing", kFields[i]);
    }
    if (entry_.offsets.size() != 2) {
      fail_here("data_offsets has {} numbers, not begin and end", entry_.offsets.size());
    }
    const auto begin = static_cast<std::uint64_t>(entry_.offsets[0]);
    const auto end = static_cast<std::uint64_t>(entry_.offsets[1]);
    const std::uint64_t available = file_.bytes.size() - data_begin_;
    if (end < begin) fail_here("data_offsets end at {}, before they begin at {}", end, begin);
    if (end > available) {
      fail_here("data_offsets end at {}, but the file holds {} bytes of data", end, available);
    }
    const auto elements = product(entry_.shape);
    const auto bytes = elements ? bytes_of(*entry_.dtype, *elements) : std::nullopt;
    if (bytes && *bytes != end - begin) {
      fail_here("shape {} of {} takes {} bytes, but data_offsets give {}", to_text(entry_.shape),
                entry_.dtype->name, *bytes, end - begin);
    }
    builder_.add(std::move(name_), *entry_.dtype, std::move(entry_.shape), data_begin_ + begin,
                 position_);
  }

  void add_metadata_key(std::string&& name, std::size_t position) {
    position_ = position;
    builder_.charge(1, 192 + name.size(), name, position);
    auto& members = metadata_.get_ref<Json::object_t&>();
    const auto [member, inserted] = members.try_emplace(std::move(name));
    name_ = member->first;
    if (!inserted) fail_here("the key is there twice");
    text_ = &member->second;
    state_ = State::text;
  }

  void add_metadata_text(Json&& value) {
    if (!value.is_string()) wrong_type();
    builder_.charge(1, 1 + value.get_ref<const std::string&>().size(), name_, position_);
    *text_ = std::move(value);
    state_ = State::metadata;
  }

  const RawFile& file_;
  std::uint64_t data_begin_;
  TensorFileBuilder& builder_;
  Json metadata_;
  Json* text_ = nullptr;
  State state_ = State::start;
  Field field_ = Field::dtype;
  Entry entry_;
  std::string name_;
  std::uint64_t position_ = kLengthBytes;
};

std::uint64_t header_length(const RawFile& file) {
  const std::uint64_t size = file.bytes.size();
  if (size < kLengthBytes) {
    fail_field(file.path, "header length", 0, "takes 8 bytes, but the file has {}", size);
  }
  std::uint64_t length = 0;
  std::memcpy(&length, file.bytes.data(), kLengthBytes);
  if (length > kMaxHeader) {
    fail_field(file.path, "header length", 0, "{} bytes are more than the {} allowed", length,
               kMaxHeader);
  }
  if (length > size - kLengthBytes) {
    fail_field(file.path, "header length", 0, "{} bytes, but the file has only {} after it", length,
               size - kLengthBytes);
  }
  return length;
}

}  // namespace

TensorFile read_safetensors(const RawFile& file) {
  const std::uint64_t length = header_length(file);
  const std::uint64_t data_begin = kLengthBytes + length;
  const std::string_view header(reinterpret_cast<const char*>(file.bytes.data()) + kLengthBytes,
                                length);
  if (!header.starts_with('{')) {
    fail_field(file.path, "header", kLengthBytes, "must begin with '{{'");
  }
  TensorFileBuilder builder("safetensors", file);
  HeaderReader reader(file, data_begin, builder);
  base::read_json_events(header, shown(file.path) + ": field 'header'", reader, kLengthBytes);
  Json metadata = Json::object();
  Json pairs = reader.take_metadata();
  if (!pairs.is_null()) metadata[std::string(kMetadata)] = std::move(pairs);
  builder.set_metadata(std::move(metadata));
  return builder.finish(Packing::dense, data_begin);
}

}  // namespace assay::files
