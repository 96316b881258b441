# The CUDA backend: whether it is built, and for which architectures. A path is a family of devices with
# code of its own; ASSAY_CUDA_PATHS chooses among those listed here, which is the one place to change.
set(ASSAY_CUDA AUTO CACHE STRING "CUDA backend: AUTO (if nvcc is found), ON or OFF")
set_property(CACHE ASSAY_CUDA PROPERTY STRINGS AUTO ON OFF)
set(ASSAY_CUDA_PATHS "sm75;sm80;sm90" CACHE STRING "Paths to compile, of sm75, sm80 and sm90")

# N is machine code and PTX (which newer devices compile when they load it), N-real machine code alone.
set(assay_architectures_sm75 75)
set(assay_architectures_sm80 80 86-real 89-real)
set(assay_architectures_sm90 90a-real)

# A forced path on a newer device is compiled from PTX by its driver, which takes minutes. A build for tests of
# forced paths on one device does it ahead, and has no machine code for anything else.
set(ASSAY_CUDA_AHEAD "" CACHE STRING "Compute capability of that device (90); empty: every path for its own devices")

set(ASSAY_HAVE_CUDA OFF)
if(ASSAY_CUDA STREQUAL AUTO AND (ASSAY_SANITIZE OR NOT CMAKE_CXX_COMPILER_ID STREQUAL GNU))
  # nvcc's host compiler is GCC, and sanitizers stop at the driver.
elseif(NOT ASSAY_CUDA STREQUAL OFF)
  find_program(ASSAY_NVCC nvcc PATHS /usr/local/cuda/bin)
  if(ASSAY_NVCC)
    set(ASSAY_HAVE_CUDA ON)
  elseif(NOT ASSAY_CUDA STREQUAL AUTO)
    message(FATAL_ERROR "ASSAY_CUDA=${ASSAY_CUDA}, but there is no nvcc on PATH or in /usr/local/cuda/bin")
  endif()
endif()

if(ASSAY_HAVE_CUDA)
  set(CMAKE_CUDA_COMPILER ${ASSAY_NVCC})
  set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER})
  list(GET ASSAY_CUDA_PATHS 0 first_path)
  set(CMAKE_CUDA_ARCHITECTURES ${assay_architectures_${first_path}})
  enable_language(CUDA)
  if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.0)
    message(FATAL_ERROR "nvcc ${CMAKE_CUDA_COMPILER_VERSION} is too old, 12.0 is needed; -DASSAY_CUDA=OFF builds without")
  endif()
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # nvcc 12 knows it, CMake before 3.26 does not know that
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  endif()
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  set(CMAKE_CUDA_EXTENSIONS OFF)
  find_package(CUDAToolkit REQUIRED)

  # Applies a macro to the name of every compiled path, weakest first.
  set(paths_header "#pragma once\n\n#define ASSAY_CUDA_EACH_PATH(X)")
  foreach(path sm75 sm80 sm90)
    if(path IN_LIST ASSAY_CUDA_PATHS)
      string(APPEND paths_header " X(${path})")
    endif()
  endforeach()
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/kernels/cuda/compiled_paths.h CONTENT "${paths_header}\n")
  message(STATUS "CUDA ${CMAKE_CUDA_COMPILER_VERSION}, paths ${ASSAY_CUDA_PATHS}")
else()
  message(STATUS "Without CUDA")
endif()

# What the layer that calls the CUDA runtime links to: cudart as an archive, which opens the driver when it
# is first called. CUPTI, NVML and cuBLASLt are opened at run time by whoever wants them.
add_library(ext_cuda INTERFACE)
if(ASSAY_HAVE_CUDA)
  target_link_libraries(ext_cuda INTERFACE CUDA::cudart_static)
  get_filename_component(toolkit_folder ${ASSAY_NVCC} DIRECTORY)
  find_path(ASSAY_CUPTI_HEADERS cupti.h HINTS ${CUDAToolkit_INCLUDE_DIRS} ${toolkit_folder}/../extras/CUPTI/include)
  if(ASSAY_CUPTI_HEADERS)
    target_include_directories(ext_cuda INTERFACE ${ASSAY_CUPTI_HEADERS})
  endif()
  target_include_directories(ext_cuda INTERFACE ${CMAKE_BINARY_DIR}/generated)
endif()

# Compiles the .cu files of src/<folder> into `target` once for every path: those in the folder of a path for
# that path alone, all others for each, with ASSAY_CUDA_PATH as the name of the path (and of a namespace).
function(assay_cuda_sources target folder)
  if(NOT ASSAY_HAVE_CUDA)
    return()
  endif()
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${folder}/*.cu)
  if(NOT sources)
    return()
  endif()
  foreach(path ${ASSAY_CUDA_PATHS})
    if(NOT assay_architectures_${path})
      message(FATAL_ERROR "ASSAY_CUDA_PATHS names '${path}', which is none of sm75, sm80, sm90")
    endif()
    set(of_path)
    foreach(source ${sources})
      if(NOT source MATCHES "/(sm75|sm80|sm90)/" OR source MATCHES "/${path}/")
        list(APPEND of_path ${source})
      endif()
    endforeach()
    set(objects ${target}_${path})
    add_library(${objects} OBJECT ${of_path})
    set_target_properties(${objects} PROPERTIES CUDA_ARCHITECTURES "${assay_architectures_${path}}")
    string(REPLACE sm "" number ${path})
    if(ASSAY_CUDA_AHEAD AND NOT number EQUAL ASSAY_CUDA_AHEAD)
      set_target_properties(${objects} PROPERTIES CUDA_ARCHITECTURES OFF)
      target_compile_options(${objects} PRIVATE "SHELL:-gencode arch=compute_${number},code=sm_${ASSAY_CUDA_AHEAD}")
    endif()
    target_compile_definitions(${objects} PRIVATE ASSAY_CUDA_PATH=${path} ASSAY_CUDA_PATH_NUMBER=${number})
    target_compile_options(${objects} PRIVATE --expt-relaxed-constexpr -Xcompiler=-Wall,-Wextra,-Wno-psabi)
    target_include_directories(${objects} PRIVATE ${CMAKE_SOURCE_DIR}/src ${CMAKE_BINARY_DIR}/generated)
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${objects}>)
    list(APPEND all_objects $<TARGET_OBJECTS:${objects}>)
  endforeach()
  assay_tensor_instructions(${target} "${all_objects}")
endfunction()

# Compiles a table into `target` of the tensor-core instructions in its kernels' machine code. nvcc comes
# without cuobjdump in some packages: the table is empty then.
function(assay_tensor_instructions target objects)
  get_filename_component(nvcc_folder ${ASSAY_NVCC} DIRECTORY)
  find_program(ASSAY_CUOBJDUMP cuobjdump HINTS ${nvcc_folder})
  find_package(Python3 COMPONENTS Interpreter)
  set(table ${CMAKE_BINARY_DIR}/generated/tensor_core_uses.cpp)
  set(script ${CMAKE_SOURCE_DIR}/cmake/tensor_instructions.py)
  if(ASSAY_CUOBJDUMP AND Python3_FOUND)
    add_custom_command(OUTPUT ${table} DEPENDS ${script} ${objects} COMMAND_EXPAND_LISTS VERBATIM
      COMMAND ${Python3_EXECUTABLE} ${script} ${ASSAY_CUOBJDUMP} ${table} ${objects}
      COMMENT "tensor-core instructions of the kernels")
  else()
    message(STATUS "No cuobjdump: the kernels' tensor-core instructions are not recorded")
    file(CONFIGURE OUTPUT ${table} CONTENT "#include \"kernels/cuda/instructions.h\"

namespace assay::kernels::cuda {

std::span<const TensorCoreUse> tensor_core_uses() { return {}; }

}  // namespace assay::kernels::cuda
")
  endif()
  target_sources(${target} PRIVATE ${table})
endfunction()
