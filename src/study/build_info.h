#pragma once

#include <string_view>

namespace assay::study {

// Defined by a file that cmake/source_hash.cmake writes in every build.

/// Version of the program, "0.1.0".
extern const std::string_view kVersion;
/// SHA-256 over src/{precision,text,kernels,ops,models,engine,tasks}, compiler and build type:
/// everything in a build that a figure depends on.
extern const std::string_view kSourceHash;
/// Commit of the source tree, with "+changes" where files differ from it; "unknown" outside git.
extern const std::string_view kGitCommit;

}  // namespace assay::study
