#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "files/tensor_file_builder.h"

namespace assay::testing {

/// The bytes of a file under construction, with named places for patching and for checking the
/// positions that errors report.
class FileBytes {
 public:
  template <typename T>
  FileBytes& number(T value) {
    data_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  FileBytes& raw(std::string_view bytes) {
    data_ += bytes;
    return *this;
  }
  /// A GGUF text: length and bytes.
  FileBytes& text(std::string_view value) {
    return number(static_cast<std::uint64_t>(value.size())).raw(value);
  }
  FileBytes& pad(std::size_t alignment) {
    while (data_.size() % alignment != 0) data_ += '\0';
    return *this;
  }
  FileBytes& mark(const std::string& name) {
    marks_[name] = data_.size();
    return *this;
  }
  [[nodiscard]] std::size_t at(const std::string& name) const { return marks_.at(name); }
  /// Overwrites what stands `past` bytes after the mark.
  template <typename T>
  FileBytes& patch(const std::string& name, T value, std::size_t past = 0) {
    std::memcpy(data_.data() + at(name) + past, &value, sizeof value);
    return *this;
  }
  FileBytes& truncate(std::size_t size) {
    data_.resize(size);
    return *this;
  }
  [[nodiscard]] const std::string& data() const { return data_; }

 private:
  std::string data_;
  std::map<std::string, std::size_t> marks_;
};

/// As a file in memory of exactly this size, so that a sanitizer sees every read beyond its end.
inline files::RawFile raw_file(std::string_view content, const std::string& name) {
  auto copy = std::make_shared<std::vector<std::byte>>(content.size());
  copy->shrink_to_fit();
  std::copy_n(reinterpret_cast<const std::byte*>(content.data()), content.size(), copy->data());
  const std::span<const std::byte> bytes(*copy);
  return {name, bytes, copy};
}

/// A small GGUF file with every type of value, and tensors of F32 (1-d), Q4_0 (2-d), BF16 (3-d),
/// I32, Q4_K and Q8_1. Marks: "tensor_count", "kv_count", "<key>" and "<name>" where a pair or
/// tensor begins, with ".type", ".value", ".count", ".dims", ".dim0", ".offset" behind them, and
/// "data".
inline FileBytes sample_gguf() {
  FileBytes f;
  const auto key = [&](const std::string& name, std::uint32_t type) -> FileBytes& {
    f.mark(name).text(name).mark(name + ".type").number(type);
    return f.mark(name + ".value");
  };
  const auto tensor = [&](const std::string& name, std::initializer_list<std::uint64_t> dims,
                          std::uint32_t type, std::uint64_t offset) {
    f.mark(name).text(name).mark(name + ".dims").number(static_cast<std::uint32_t>(dims.size()));
    int i = 0;
    for (const std::uint64_t d : dims) f.mark(fmt::format("{}.dim{}", name, i++)).number(d);
    f.mark(name + ".type").number(type).mark(name + ".offset").number(offset);
  };
  f.mark("magic").raw("GGUF").mark("version").number(std::uint32_t{3});
  f.mark("tensor_count").number(std::uint64_t{6}).mark("kv_count").number(std::uint64_t{15});
  key("general.architecture", 8).text("llama");
  key("general.alignment", 4).number(std::uint32_t{64});
  key("u8", 0).number(std::uint8_t{200});
  key("i8", 1).number(std::int8_t{-2});
  key("u16", 2).number(std::uint16_t{65535});
  key("i16", 3).number(std::int16_t{-300});
  key("i32", 5).number(std::int32_t{-70000});
  key("f32", 6).number(0.5F);
  key("flag", 7).number(std::uint8_t{1});
  key("u64", 10).number(std::uint64_t{1} << 40);
  key("i64", 11).number(std::int64_t{-1} << 40);
  key("f64", 12).number(0.25);
  key("tokens", 9).number(std::uint32_t{8}).mark("tokens.count").number(std::uint64_t{3});
  f.mark("tokens.0").text("a").mark("tokens.1").text("a longer text than SSO").text("");
  key("ids", 9).number(std::uint32_t{5}).mark("ids.count").number(std::uint64_t{2});
  f.number(std::int32_t{7}).number(std::int32_t{-1});
  key("none", 9).number(std::uint32_t{0}).number(std::uint64_t{0});
  tensor("norm.weight", {3}, 0, 0);
  tensor("q.weight", {64, 2}, 2, 64);         // 4 blocks of 18
  tensor("cube.weight", {2, 3, 4}, 30, 192);  // 48 bytes
  tensor("ids.tensor", {2}, 26, 256);
  tensor("s.weight", {32, 1}, 9, 320);
  tensor("k.weight", {256, 1}, 12, 384);
  f.pad(64).mark("data");
  const std::size_t begin = f.data().size();
  for (const float v : {1.0F, -2.0F, 3.0F}) f.number(v);
  while (f.data().size() < begin + 384 + 144) f.number(static_cast<std::uint8_t>(f.data().size()));
  return f;
}

/// A safetensors file of this header and `data` bytes of 0, 1, 2, ...
inline std::string safetensors(const std::string& header, std::size_t data) {
  FileBytes f;
  f.text(header);
  for (std::size_t i = 0; i < data; ++i) f.number(static_cast<std::uint8_t>(i));
  return f.data();
}

}  // namespace assay::testing
