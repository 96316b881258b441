#pragma once

#include <bit>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "base/utf8.h"
#include "files/tensor_file_builder.h"

namespace assay::files {

static_assert(std::endian::native == std::endian::little);

/// Reads a GGUF header front to back. Nothing is read that is not there; errors name the field
/// entered last and the byte at which the value that is wrong begins.
class GgufCursor {
 public:
  explicit GgufCursor(const RawFile& file) : file_(file) {}

  void enter(std::string field) { field_ = std::move(field); }
  [[nodiscard]] const std::string& field() const { return field_; }
  [[nodiscard]] std::uint64_t position() const { return position_; }
  [[nodiscard]] std::uint64_t left() const { return file_.bytes.size() - position_; }

  template <typename... Args>
  [[noreturn]] void fail_at(std::uint64_t position, fmt::format_string<Args...> format,
                            Args&&... args) const {
    fail_field(file_.path, field_, position, format, std::forward<Args>(args)...);
  }

  template <typename T>
  [[nodiscard]] T number(std::string_view what) {
    T value;
    if (left() < sizeof value) {
      fail_at(position_, "{} takes {} bytes, but the file has {} more", what, sizeof value, left());
    }
    std::memcpy(&value, file_.bytes.data() + position_, sizeof value);
    position_ += sizeof value;
    return value;
  }

  /// A count of things that take at least `unit` bytes each, checked against the bytes left.
  [[nodiscard]] std::uint64_t count(std::string_view what, std::uint64_t unit) {
    const std::uint64_t at = position_;
    const auto value = number<std::uint64_t>(what);
    if (value > left() / unit) {
      fail_at(at, "{} is {}, but the file has only {} bytes more", what, value, left());
    }
    return value;
  }

  /// Text of at most `longest` bytes, in the mapping.
  [[nodiscard]] std::string_view text(std::string_view what, std::uint64_t longest) {
    const std::uint64_t at = position_;
    const auto length = number<std::uint64_t>("a text's length");
    if (length > left()) {
      fail_at(at, "{} is {} bytes long, but the file has only {} bytes more", what, length, left());
    }
    if (length > longest) {
      fail_at(at, "{} is {} bytes long; {} are allowed", what, length, longest);
    }
    const std::string_view value(reinterpret_cast<const char*>(file_.bytes.data()) + position_,
                                 length);
    if (!base::is_utf8(value)) fail_at(position_, "{} is not UTF-8", what);
    position_ += length;
    return value;
  }

 private:
  const RawFile& file_;
  std::uint64_t position_ = 0;
  std::string field_ = "header";
};

}  // namespace assay::files
