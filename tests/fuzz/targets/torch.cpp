#include "files/file_bytes.h"
#include "files/torch_zip.h"
#include "fuzz/target.h"
#include "fuzz/use_tensors.h"

namespace assay::fuzz {

static void run(std::string_view input) {
  static_cast<void>(use_tensors(files::read_torch(testing::raw_file(input, "file"))));
}

const Target kTorch = {"torch", run};

}  // namespace assay::fuzz
