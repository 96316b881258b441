#pragma once

#include "files/tensor_file.h"

namespace assay::files {

/// Makes one TensorFile of several. What the headers take together stays within kHeaderBudget.
class PartsMerger {
 public:
  /// `path` is what the user named, or what stands for all parts.
  explicit PartsMerger(std::filesystem::path path);

  /// Takes the tensors of the next part, and of the first its metadata. bad_data if its format
  /// differs from that of the parts before it.
  void add(TensorFile&& part);
  /// bad_data if a name is there twice.
  [[nodiscard]] TensorFile finish();

 private:
  void charge(const StoredTensor& tensor);

  TensorFile result_;
  std::shared_ptr<std::vector<std::shared_ptr<const void>>> owners_;
  std::uint64_t spent_ = 0;
};

}  // namespace assay::files
