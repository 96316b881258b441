# assay_layer(<folder> DEPS <layers> LIBS <third parties>): one static library per folder of src/.
# Dependencies name only layers above; scripts/check_includes verifies it for every #include.
function(assay_layer folder)
  cmake_parse_arguments(L "" "" "DEPS;LIBS" ${ARGN})
  string(REPLACE "/" "_" name ${folder})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${folder}/*.cpp)
  add_library(assay_${name} STATIC ${sources})
  target_include_directories(assay_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  list(TRANSFORM L_DEPS PREPEND assay_)
  list(TRANSFORM L_LIBS PREPEND ext_)
  target_link_libraries(assay_${name} PUBLIC ${L_DEPS} ${L_LIBS} Threads::Threads)
endfunction()
