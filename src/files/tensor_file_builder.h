#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "files/field_error.h"
#include "files/stored_type.h"
#include "files/tensor_file.h"

namespace assay::files {

/// What a header may cost in memory once it is parsed: names, shapes and metadata together. The
/// largest vocabularies in use (260,000 tokens with as many merges, twice) take two thirds of it.
inline constexpr std::uint64_t kHeaderBudget = std::uint64_t{96} << 20;

/// What a tensor costs of it.
[[nodiscard]] std::uint64_t cost_of(std::size_t name_bytes, std::size_t dimensions) noexcept;

/// Indices sorted by name; equal names keep their order.
[[nodiscard]] std::vector<std::size_t> order_by_name(const std::vector<StoredTensor>& tensors);

/// The bytes of a model file before anything about them is believed.
struct RawFile {
  std::filesystem::path path;
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;  ///< keeps `bytes` alive
};

/// Where the tensors of a format may lie.
enum class Packing : std::uint8_t {
  dense,  ///< one after another without holes, from the start of the data to the end of the file
  loose,  ///< anywhere, without overlap
  shared  ///< anywhere; tensors may share bytes
};

/// Collects a TensorFile and makes the checks that all formats share. Every error is bad_data with
/// file, field and position.
class TensorFileBuilder {
 public:
  TensorFileBuilder(std::string format, const RawFile& file);

  /// Takes `count` times `unit` bytes from the budget, before they are allocated.
  void charge(std::uint64_t count, std::uint64_t unit, std::string_view field,
              std::uint64_t position);

  /// Adds a tensor of this type and shape at `offset` in the file. Checks the type's blocks along
  /// the last dimension, the products, and that the file holds the bytes. `position` is where the
  /// header describes the tensor.
  void add(std::string name, const StoredType& type, std::vector<std::int64_t> shape,
           std::uint64_t offset, std::uint64_t position);

  void set_metadata(Json metadata);

  /// Checks names and layout. `data_begin` is where the tensors' data starts in the file.
  [[nodiscard]] TensorFile finish(Packing packing, std::uint64_t data_begin);

  /// Gives tensors, by index, bytes that do not stand in the file as they are wanted.
  static void replace_bytes(TensorFile& file,
                            std::vector<std::pair<std::size_t, tensor::Buffer>> copies);

 private:
  void index_names();
  void check_layout(Packing packing, std::uint64_t data_begin) const;
  [[nodiscard]] static std::uint64_t end_of(const StoredTensor& tensor) {
    return tensor.offset + tensor.bytes.size();
  }

  RawFile raw_;
  TensorFile result_;
  std::vector<std::uint64_t> positions_;
  std::uint64_t spent_ = 0;
};

}  // namespace assay::files
