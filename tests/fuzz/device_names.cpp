// In place of the planner's, which would bring every kernel into the fuzz build: only names are
// looked at when a study is read.
#include "base/io.h"
#include "engine/planner.h"

namespace assay::engine {

tensor::Device resolve_device(const std::string& text) {
  if (text == "cpu" || text == "auto") return {};
  fail(ErrorCode::usage, "unknown device \"{}\"", base::printable(text));
}

}  // namespace assay::engine
