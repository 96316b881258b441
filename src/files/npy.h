#pragma once

#include "files/tensor_file_builder.h"

namespace assay::files {

/// The name under which a file's only tensor stands (.npy, or a .pt that holds a bare tensor).
inline constexpr std::string_view kOnlyTensor = "tensor";

/// Reads a NumPy .npy file of versions 1 to 3: little-endian, in C order, of f2, f4, f8, i1, i2,
/// i4, i8, u1, u2, u4, u8 or bool. Its array is the tensor kOnlyTensor. Format: numpy.lib.format.
/// The header is read by a parser of its own that knows strings, truth values and tuples of
/// integers.
[[nodiscard]] TensorFile read_npy(const RawFile& file);

}  // namespace assay::files
