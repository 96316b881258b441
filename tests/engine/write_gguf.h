#pragma once

#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "files/stored_type.h"
#include "precision/encoding.h"

namespace assay::testing {

/// Writes GGUF v3 files for tests.
class GgufWriter {
 public:
  void text(const std::string& key, const std::string& value) {
    put_key(key, 8);
    put_text(metadata_, value);
  }
  void integer(const std::string& key, std::uint32_t value) {
    put_key(key, 4);
    put(metadata_, value);
  }
  void number(const std::string& key, float value) {
    put_key(key, 6);
    put(metadata_, value);
  }

  /// A matrix (rows > 0) or a vector (rows == 0) of an encoding that GGUF has.
  void tensor(const std::string& name, std::int64_t rows, const precision::EncodedTensor& weight) {
    put_text(headers_, name);
    put(headers_, std::uint32_t{rows > 0 ? 2U : 1U});
    put(headers_, static_cast<std::uint64_t>(weight.cols));
    if (rows > 0) put(headers_, static_cast<std::uint64_t>(rows));
    put(headers_, type_of(weight.encoding));
    put(headers_, std::uint64_t{data_.size()});
    data_.append(reinterpret_cast<const char*>(weight.codes.bytes.data()),
                 weight.codes.bytes.size());
    pad(data_);
    ++tensors_;
  }

  [[nodiscard]] std::string bytes() const {
    std::string file = "GGUF";
    put(file, std::uint32_t{3});
    put(file, tensors_);
    put(file, keys_);
    file += metadata_ + headers_;
    pad(file);
    return file + data_;
  }

 private:
  static std::uint32_t type_of(precision::Encoding encoding) {
    for (std::uint32_t id = 0; id < 64; ++id) {
      const files::StoredType* type = files::find_ggml_type(id);
      if (type != nullptr && type->encoding == encoding) return id;
    }
    throw std::logic_error("GGUF has no such encoding");
  }
  template <typename T>
  static void put(std::string& to, T value) {
    to.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
  static void put_text(std::string& to, const std::string& text) {
    put(to, std::uint64_t{text.size()});
    to += text;
  }
  static void pad(std::string& to) { to.resize((to.size() + 31) / 32 * 32, '\0'); }
  void put_key(const std::string& key, std::uint32_t type) {
    put_text(metadata_, key);
    put(metadata_, type);
    ++keys_;
  }

  std::string metadata_;
  std::string headers_;
  std::string data_;
  std::uint64_t keys_ = 0;
  std::uint64_t tensors_ = 0;
};

}  // namespace assay::testing
