#pragma once

#include "files/tensor_file_builder.h"

namespace assay::files {

/// Reads a file of torch.save (.pt, .bin): a zip archive of stored records with a pickle that
/// PickleReader's allow-list runs. Tensors of nested dictionaries and lists are named by their path
/// ("model.layers.0.weight"); a bare tensor is kOnlyTensor. Numbers, texts and truth values become
/// metadata under their path. Tensors may share storage; those that are not contiguous are copied,
/// the others stay in the mapping.
[[nodiscard]] TensorFile read_torch(const RawFile& file);

/// True for what torch.save wrote before version 1.6, a bare pickle or a tar archive.
[[nodiscard]] bool is_legacy_torch(const RawFile& file);

}  // namespace assay::files
