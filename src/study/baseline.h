#pragma once

#include <memory>
#include <span>
#include <vector>

#include "study/cell.h"
#include "study/channel.h"
#include "tasks/task.h"

namespace assay::study {

/// The baseline of a fidelity task in a process of its own (`assay baseline`), so that its memory
/// is not in the cell's peak; its outputs are streamed, never stored.
class BaselineProcess : public tasks::BaselineOutputs {
 public:
  /// Starts the child for `task` of `cell` and reads the inputs that it chose.
  BaselineProcess(const Cell& cell, const Json& task);
  [[nodiscard]] const tasks::FidelityInputs& inputs() const { return inputs_; }
  [[nodiscard]] std::span<const float> next() override;
  /// After the last output: internal error unless the baseline ran what its plan says.
  void check_proved();

 private:
  std::unique_ptr<Child> child_;
  tasks::FidelityInputs inputs_;
  std::vector<std::byte> frame_;
};

}  // namespace assay::study
