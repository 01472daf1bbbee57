# Finds LibTorch in the PyPI torch wheel, or wherever LIBTORCH_ROOT points.
#
# TorchConfig.cmake of a CUDA wheel stops where there is no CUDA toolkit, though
# CPU-only use needs none, so the libraries are linked directly. CUDA is loaded at
# run time where it is present.
#
# Defines LibTorch::LibTorch. Link it PRIVATE, to server/torch alone: the include
# folder carries an old google/protobuf, which breaks generated code.

# Found anew each time, since LIBTORCH_ROOT may have moved.
foreach(_result LibTorch_INCLUDE_DIR LibTorch_CPU_LIBRARY LibTorch_C10_LIBRARY
                _libtorch_version_header)
  unset(${_result} CACHE)
endforeach()

find_path(LibTorch_INCLUDE_DIR ATen/ATen.h
          PATHS ${LIBTORCH_ROOT}/include NO_DEFAULT_PATH)
find_library(LibTorch_CPU_LIBRARY torch_cpu
             PATHS ${LIBTORCH_ROOT}/lib NO_DEFAULT_PATH)
find_library(LibTorch_C10_LIBRARY c10
             PATHS ${LIBTORCH_ROOT}/lib NO_DEFAULT_PATH)
find_file(_libtorch_version_header torch/headeronly/version.h
          PATHS ${LIBTORCH_ROOT}/include NO_DEFAULT_PATH)
if(_libtorch_version_header)
  file(STRINGS ${_libtorch_version_header} _version_line
       REGEX "#define TORCH_VERSION \"")
  string(REGEX REPLACE ".*\"([0-9.]+).*" "\\1" LibTorch_VERSION
         "${_version_line}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  LibTorch
  REQUIRED_VARS LibTorch_CPU_LIBRARY LibTorch_C10_LIBRARY LibTorch_INCLUDE_DIR
  VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE
    "run `make setup`, or pass -DLIBTORCH_ROOT=/path/to/libtorch")

if(LibTorch_FOUND AND NOT TARGET LibTorch::LibTorch)
  add_library(LibTorch::LibTorch INTERFACE IMPORTED)
  set_target_properties(LibTorch::LibTorch PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES  # of an imported target, hence SYSTEM
      "${LibTorch_INCLUDE_DIR};${LibTorch_INCLUDE_DIR}/torch/csrc/api/include"
    INTERFACE_LINK_LIBRARIES "${LibTorch_CPU_LIBRARY};${LibTorch_C10_LIBRARY}"
    # Lives in torch's lib folder but needs libraries of the CUDA wheels beside
    # it, which libtorch_cpu.so finds through its own RPATH.
    INTERFACE_LINK_OPTIONS "-Wl,--allow-shlib-undefined")
endif()
