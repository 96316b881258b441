#pragma once

#include <filesystem>

namespace assay::engine {

/// Makes the folder that a model is written to. Usage error if something is in it, io if it cannot
/// be made.
void prepare_new_folder(const std::filesystem::path& folder);

}  // namespace assay::engine
