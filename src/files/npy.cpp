#include "files/npy.h"

#include <array>
#include <charconv>
#include <cstring>
#include <limits>

#include "base/io.h"

namespace assay::files {

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::uint64_t kPreamble = 8;             // magic and two bytes of version
constexpr std::uint64_t kLongestHeader = 1 << 16;  // what version 1 can say
constexpr std::size_t kMaxNpyDimensions = 64;

struct Descr {
  std::string_view text;
  std::string_view type;  ///< safetensors' name of it
};

constexpr std::array kDescrs = {Descr{"<f2", "F16"}, Descr{"<f4", "F32"}, Descr{"<f8", "F64"},
                                Descr{"|i1", "I8"},  Descr{"<i2", "I16"}, Descr{"<i4", "I32"},
                                Descr{"<i8", "I64"}, Descr{"|u1", "U8"},  Descr{"<u2", "U16"},
                                Descr{"<u4", "U32"}, Descr{"<u8", "U64"}, Descr{"|b1", "BOOL"}};

/// Reads the header's dictionary, a Python literal: {'descr': '<f4', 'fortran_order': False,
/// 'shape': (2, 3), } and blanks.
class HeaderParser {
 public:
  HeaderParser(const RawFile& file, std::uint64_t begin, std::uint64_t end)
      : file_(file), at_(begin), end_(end) {}

  void parse() {
    expect('{');
    while (!take('}')) {
      parse_item();
      if (!take(',') && peek() != '}') fail_here("expected ',' or '}}'");
    }
    while (at_ < end_ && is_blank(byte())) ++at_;
    if (at_ != end_) fail_here("unexpected text after the dictionary");
    field_ = "header";
    if (type_ == nullptr) fail_here("descr is missing");
    if (!order_seen_) fail_here("fortran_order is missing");
    if (!shape_seen_) fail_here("shape is missing");
    const bool two_orders = shape_.size() > 1;
    if (fortran_ && two_orders) {
      fail_field(file_.path, "fortran_order", order_at_,
                 "is True; only C order is supported, save np.ascontiguousarray(array)");
    }
  }

  [[nodiscard]] const StoredType& type() const { return *type_; }
  [[nodiscard]] std::vector<std::int64_t> take_shape() { return std::move(shape_); }

 private:
  template <typename... Args>
  [[noreturn]] void fail_here(fmt::format_string<Args...> format, Args&&... args) const {
    fail_field(file_.path, field_, at_, format, std::forward<Args>(args)...);
  }

  static bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
  [[nodiscard]] char byte() const { return static_cast<char>(file_.bytes[at_]); }

  /// The next character that is no blank.
  char peek() {
    while (at_ < end_ && is_blank(byte())) ++at_;
    if (at_ == end_) fail_here("the dictionary does not end");
    return byte();
  }

  bool take(char wanted) {
    if (peek() != wanted) return false;
    ++at_;
    return true;
  }

  void expect(char wanted) {
    if (!take(wanted)) fail_here("expected '{}'", wanted);
  }

  std::string_view text() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') fail_here("expected a string");
    const std::uint64_t begin = ++at_;
    while (at_ < end_ && byte() != quote && byte() != '\\') ++at_;
    if (at_ == end_) fail_here("a string does not end");
    if (byte() == '\\') fail_here("an escape in a string");
    const auto* data = reinterpret_cast<const char*>(file_.bytes.data()) + begin;
    return {data, at_++ - begin};
  }

  bool truth() {
    for (const auto& [word, value] :
         {std::pair{std::string_view("True"), true}, {"False", false}}) {
      peek();
      const auto* data = reinterpret_cast<const char*>(file_.bytes.data()) + at_;
      if (!std::string_view(data, end_ - at_).starts_with(word)) continue;
      at_ += word.size();
      return value;
    }
    fail_here("must be True or False");
  }

  std::int64_t dimension() {
    peek();
    const auto* data = reinterpret_cast<const char*>(file_.bytes.data());
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(data + at_, data + end_, value);
    if (error == std::errc::result_out_of_range) fail_here("a dimension overflows");
    if (error != std::errc() || byte() == '-') fail_here("must be a tuple of integers from 0");
    at_ = static_cast<std::uint64_t>(end - data);
    return value;
  }

  void parse_item() {
    field_ = "header";
    peek();
    const std::uint64_t key_at = at_;
    const std::string_view key = text();
    expect(':');
    peek();
    if (key == "descr") {
      parse_descr(key_at);
    } else if (key == "fortran_order") {
      begin("fortran_order", order_seen_, key_at);
      order_at_ = key_at;
      fortran_ = truth();
      order_seen_ = true;
    } else if (key == "shape") {
      parse_shape(key_at);
    } else {
      at_ = key_at;
      fail_here("unknown key '{}'", base::printable(key, 40));
    }
  }

  void begin(const char* field, bool seen, std::uint64_t key_at) {
    field_ = field;
    if (!seen) return;
    at_ = key_at;
    fail_here("the key is there twice");
  }

  void parse_descr(std::uint64_t key_at) {
    begin("descr", type_ != nullptr, key_at);
    if (peek() == '[') fail_here("arrays of records are not supported");
    const std::uint64_t value_at = at_;
    const std::string_view descr = text();
    for (const Descr& known : kDescrs) {
      if (descr == known.text) type_ = find_safetensors_type(known.type);
    }
    if (type_ != nullptr) return;
    at_ = value_at;
    if (descr.starts_with('>')) fail_here("'{}' is big-endian", base::printable(descr, 40));
    fail_here("'{}' is not supported, only little-endian numbers and booleans",
              base::printable(descr, 40));
  }

  void parse_shape(std::uint64_t key_at) {
    begin("shape", shape_seen_, key_at);
    if (!take('(')) fail_here("must be a tuple of integers from 0");
    while (!take(')')) {
      if (shape_.size() == kMaxNpyDimensions)
        fail_here("more than {} dimensions", kMaxNpyDimensions);
      shape_.push_back(dimension());
      // (3) is a number in Python; (3,) is a tuple.
      if (!take(',') && (peek() != ')' || shape_.size() == 1)) fail_here("expected ','");
    }
    shape_seen_ = true;
  }

  const RawFile& file_;
  std::uint64_t at_;
  std::uint64_t end_;
  std::string_view field_ = "header";
  const StoredType* type_ = nullptr;
  bool fortran_ = false;
  bool order_seen_ = false;
  bool shape_seen_ = false;
  std::uint64_t order_at_ = 0;
  std::vector<std::int64_t> shape_;
};

/// Where the header's text stands.
struct Extent {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

Extent header_extent(const RawFile& file) {
  const std::uint64_t size = file.bytes.size();
  const auto* data = reinterpret_cast<const char*>(file.bytes.data());
  if (!std::string_view(data, size).starts_with(kMagic)) {
    fail_field(file.path, "magic", 0, "is not \"\\x93NUMPY\"; this is no .npy file");
  }
  if (size < kPreamble + 2) {
    fail_field(file.path, "version", kMagic.size(), "the file ends after {} bytes", size);
  }
  const auto major = static_cast<std::uint8_t>(file.bytes[6]);
  const auto minor = static_cast<std::uint8_t>(file.bytes[7]);
  if (major < 1 || major > 3 || minor != 0) {
    fail_field(file.path, "version", kMagic.size(), "{}.{} is not supported, only 1.0 to 3.0",
               major, minor);
  }
  const std::uint64_t width = major == 1 ? 2 : 4;
  std::uint32_t length = 0;  // the bytes beyond `width` stay zero
  if (size < kPreamble + width) {
    fail_field(file.path, "header length", kPreamble, "takes {} bytes, but the file has {} more",
               width, size - kPreamble);
  }
  std::memcpy(&length, data + kPreamble, width);
  const std::uint64_t left = size - kPreamble - width;
  if (length > left) {
    fail_field(file.path, "header length", kPreamble, "{} bytes, but the file has only {} after it",
               length, left);
  }
  if (length > kLongestHeader) {
    fail_field(file.path, "header length", kPreamble, "{} bytes are more than the {} allowed",
               length, kLongestHeader);
  }
  return {kPreamble + width, kPreamble + width + length};
}

}  // namespace

TensorFile read_npy(const RawFile& file) {
  const Extent extent = header_extent(file);
  HeaderParser header(file, extent.begin, extent.end);
  header.parse();
  TensorFileBuilder builder("npy", file);
  builder.add(std::string(kOnlyTensor), header.type(), header.take_shape(), extent.end,
              extent.begin);
  builder.set_metadata(Json::object());
  return builder.finish(Packing::dense, extent.end);
}

}  // namespace assay::files
