# Third parties, each as one INTERFACE target ext_<name>. Static archives when ASSAY_PORTABLE.
find_package(Threads REQUIRED)

if(ASSAY_PORTABLE)
  set(CMAKE_FIND_LIBRARY_SUFFIXES .a)
  add_link_options(-static-libstdc++ -static-libgcc)
endif()

function(ext_library name)
  add_library(ext_${name} INTERFACE)
  foreach(lib ${ARGN})
    find_library(EXT_${lib} ${lib})
    if(NOT EXT_${lib})
      message(FATAL_ERROR "lib${lib} is missing; scripts/setup names the packages")
    endif()
    target_link_libraries(ext_${name} INTERFACE ${EXT_${lib}})
  endforeach()
endfunction()

if(ASSAY_PORTABLE)
  # Debian has no archives of these two; both can be used as headers alone.
  add_library(ext_fmt INTERFACE)
  target_compile_definitions(ext_fmt INTERFACE FMT_HEADER_ONLY)
  add_library(ext_spdlog INTERFACE)
  target_compile_definitions(ext_spdlog INTERFACE SPDLOG_FMT_EXTERNAL FMT_HEADER_ONLY)
else()
  ext_library(fmt fmt)
  ext_library(spdlog spdlog fmt)
  target_compile_definitions(ext_spdlog INTERFACE SPDLOG_COMPILED_LIB SPDLOG_FMT_EXTERNAL)
endif()
ext_library(yaml yaml-cpp)
ext_library(sqlite SQLiteCpp sqlite3)
ext_library(pcre2 pcre2-8)
ext_library(utf8proc utf8proc)
target_compile_definitions(ext_utf8proc INTERFACE UTF8PROC_STATIC)
ext_library(crypto crypto)
if(ASSAY_PORTABLE)
  # Nor one of Highway, which is no header library: the shared one travels beside the program.
  set(CMAKE_FIND_LIBRARY_SUFFIXES .so)
endif()
ext_library(hwy hwy)
add_library(ext_json INTERFACE)  # header only
add_library(ext_cli11 INTERFACE) # header only
