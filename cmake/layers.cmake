option(ASSAY_UNITY "Compile the files of a folder several at once: less time from nothing, more after a change" OFF)

# Most of a file's time goes into its headers: with ASSAY_UNITY several files are compiled as one. No two
# files of a target may use one name for two things. Not for sources that include themselves once per
# instruction set.
function(assay_unity target)
  if(ASSAY_UNITY)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 10)
  endif()
endfunction()

# assay_precompile(<target> <first> <header>...): with ASSAY_UNITY, the headers that take longest, once for
# all targets that name the same first one. Other builds check that every file includes what it needs.
function(assay_precompile target first)
  if(ASSAY_UNITY AND target STREQUAL first)
    target_precompile_headers(${target} PRIVATE ${ARGN})
  elseif(ASSAY_UNITY)
    target_precompile_headers(${target} REUSE_FROM ${first})
  endif()
  if(ASSAY_UNITY AND CMAKE_CXX_COMPILER_ID STREQUAL GNU AND NOT CMAKE_DISABLE_PRECOMPILE_HEADERS)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)  # for ccache
  endif()
endfunction()

# assay_layer(<folder> [NO_UNITY] [STUBS <folder>] DEPS <layers> LIBS <third parties>): one static library per
# folder of src/. Dependencies name only layers above; scripts/check_includes verifies it for every #include.
# A layer with STUBS needs CUDA; without it the same symbols come from the folder of stubs.
function(assay_layer folder)
  cmake_parse_arguments(L "NO_UNITY" "STUBS" "DEPS;LIBS" ${ARGN})
  string(REPLACE "/" "_" name ${folder})
  set(compiled ${folder})
  if(L_STUBS AND NOT ASSAY_HAVE_CUDA)
    set(compiled ${L_STUBS})
  endif()
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${compiled}/*.cpp)
  add_library(assay_${name} STATIC ${sources})
  target_include_directories(assay_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  list(TRANSFORM L_DEPS PREPEND assay_)
  list(TRANSFORM L_LIBS PREPEND ext_)
  # What needs CUDA's headers stays inside of its layer: all others are compiled the same with and without it.
  if(ext_cuda IN_LIST L_LIBS)
    list(REMOVE_ITEM L_LIBS ext_cuda)
    target_link_libraries(assay_${name} PRIVATE ext_cuda)
  endif()
  target_link_libraries(assay_${name} PUBLIC ${L_DEPS} ${L_LIBS} Threads::Threads)
  assay_cuda_sources(assay_${name} ${compiled})
  if(NOT L_NO_UNITY)
    assay_unity(assay_${name})
    assay_precompile(assay_${name} assay_base <algorithm> <filesystem> <fmt/format.h> <map> <optional> ${CMAKE_SOURCE_DIR}/src/base/json.h)
  endif()
endfunction()
