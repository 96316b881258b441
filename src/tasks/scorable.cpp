#include "tasks/task.h"

namespace assay::tasks {

std::string reason_not_scored(const engine::ModelSource& source) {
  if (!source.synthetic()) return {};
  return fmt::format(
      "{} is a synthetic model: its weights are random, so that neither accuracy nor fidelity to "
      "its own baseline says anything about a trained one; bench measures its speed and memory",
      source.name());
}

void require_scorable(const engine::ModelSource& source) {
  const std::string reason = reason_not_scored(source);
  if (!reason.empty()) fail(ErrorCode::unsupported, "{}", reason);
}

}  // namespace assay::tasks
