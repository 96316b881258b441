#include "files/safetensors.h"

#include "files/file_bytes.h"
#include "fuzz/target.h"
#include "fuzz/use_tensors.h"

namespace assay::fuzz {

static void run(std::string_view input) {
  static_cast<void>(use_tensors(files::read_safetensors(testing::raw_file(input, "file"))));
}

const Target kSafetensors = {"safetensors", run};

}  // namespace assay::fuzz
