#include "study/study.h"

#include "fuzz/file_in_memory.h"
#include "fuzz/target.h"

namespace assay::fuzz {

static void run(std::string_view input) {
  static_cast<void>(study::read_study(file_in_memory(input)));
}

const Target kStudy = {"study", run, ErrorCode::usage};

}  // namespace assay::fuzz
