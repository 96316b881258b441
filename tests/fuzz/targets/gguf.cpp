#include "files/gguf.h"

#include "files/file_bytes.h"
#include "fuzz/target.h"
#include "fuzz/use_tensors.h"

namespace assay::fuzz {

static void run(std::string_view input) {
  static_cast<void>(use_tensors(files::read_gguf(testing::raw_file(input, "file"))));
}

const Target kGguf = {"gguf", run};

}  // namespace assay::fuzz
