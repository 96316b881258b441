#pragma once

#include "ops/memory.h"
#include "tensor/tensor.h"

namespace assay::models {

/// A matrix that is made larger when more rows are asked for and otherwise kept.
class Scratch {
 private:
  friend struct Arena;
  tensor::Matrix matrix_;
};

/// Activations of one device, and what the ops there read beside the weights.
struct Arena {
  explicit Arena(tensor::Device where) : device(where) {}

  [[nodiscard]] tensor::MatrixView get(Scratch& scratch, tensor::DType type, std::int64_t rows,
                                       std::int64_t cols) {
    tensor::Matrix& matrix = scratch.matrix_;
    if (matrix.rows() < rows || matrix.cols() != cols || matrix.type() != type) {
      matrix = tensor::Matrix();  // before the next one is made
      matrix = tensor::Matrix(type, rows, cols, device);
      ++growths;
    }
    return matrix.view(rows);
  }

  tensor::Device device;
  std::int64_t growths = 0;  ///< graphs hold addresses from before one no longer
  ops::Vector inverse_frequencies, local_frequencies;
  Scratch stream, other, query, key, value, attended, gate, up, projected;
  Scratch routed, chosen, expert_result, mixed;
  Scratch gathered, head_hidden, head_result, pooled;
  Scratch arrived, leaving;  ///< of a layer that is on another device than its input
};

}  // namespace assay::models
