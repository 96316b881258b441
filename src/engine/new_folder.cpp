#include "engine/new_folder.h"

#include "base/error.h"
#include "base/io.h"

namespace assay::engine {

namespace fs = std::filesystem;

void prepare_new_folder(const fs::path& folder) {
  std::error_code error;
  if (fs::exists(folder, error) && (!fs::is_directory(folder) || !fs::is_empty(folder))) {
    fail(ErrorCode::usage, "{}: is not empty; name a new or an empty folder with -o",
         base::printable(folder.string()));
  }
  fs::create_directories(folder, error);
  if (error) {
    fail(ErrorCode::io, "{}: cannot be made: {}", base::printable(folder.string()),
         error.message());
  }
}

}  // namespace assay::engine
