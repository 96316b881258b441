#include "files/field_error.h"

#include "base/io.h"

namespace assay::files {

std::string shown(const std::filesystem::path& path) {
  return base::printable(path.native(), 1000);
}

void throw_field_error(const std::filesystem::path& file, std::string_view field,
                       std::uint64_t position, const std::string& what) {
  fail(ErrorCode::bad_data, "{}: field '{}' at byte {}: {}", shown(file), base::printable(field),
       position, what);
}

}  // namespace assay::files
