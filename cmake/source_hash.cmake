# Writes OUTPUT, the definitions of study/build_info.h: version, git commit, and a hash over everything
# in a build that a measured figure depends on. Runs in every build; the file changes only when its
# content does.
#   cmake -D SOURCE_DIR=... -D OUTPUT=... -D VERSION=... -D SETTINGS=... -P source_hash.cmake
set(listing "${SETTINGS}\n")
foreach(folder precision text kernels ops models engine tasks)
  file(GLOB_RECURSE files RELATIVE ${SOURCE_DIR} ${SOURCE_DIR}/src/${folder}/*.h
       ${SOURCE_DIR}/src/${folder}/*.cpp ${SOURCE_DIR}/src/${folder}/*.cu ${SOURCE_DIR}/src/${folder}/*.cuh)
  list(SORT files)
  foreach(file ${files})
    file(SHA256 ${SOURCE_DIR}/${file} digest)
    string(APPEND listing "${digest} ${file}\n")
  endforeach()
endforeach()
string(SHA256 source_hash "${listing}")

set(commit unknown)
find_program(GIT git)
if(GIT)
  execute_process(COMMAND ${GIT} -C ${SOURCE_DIR} rev-parse --short=12 HEAD
                  OUTPUT_VARIABLE head OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  execute_process(COMMAND ${GIT} -C ${SOURCE_DIR} status --porcelain --untracked-files=no
                  OUTPUT_VARIABLE changes ERROR_QUIET)
  if(head)
    set(commit ${head})
  endif()
  if(head AND changes)
    string(APPEND commit "+changes")
  endif()
endif()

set(content "#include \"study/build_info.h\"

namespace assay::study {

constinit const std::string_view kVersion = \"${VERSION}\";
constinit const std::string_view kSourceHash = \"${source_hash}\";
constinit const std::string_view kGitCommit = \"${commit}\";

}  // namespace assay::study
")
set(old "")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} old)
endif()
if(NOT old STREQUAL content)
  file(WRITE ${OUTPUT} "${content}")
endif()
