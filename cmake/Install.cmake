# `cmake --install build --prefix DIR`: the programs, and beside them what they need
# of LibTorch, so that DIR works wherever it is moved to:
#
#   bin/warmstart-server, bin/warmstart
#   lib/warmstart/torch/lib/    LibTorch
#   lib/warmstart/nvidia/       libraries of the CUDA wheels, in the places beside
#                               torch/ where LibTorch's own RPATH looks for them
#
# Debian's libraries are taken from Debian.

option(WARMSTART_INSTALL_CUDA
       "Install the libraries that LibTorch loads where there is a GPU, too" OFF)

set(_library_folder lib/warmstart)
set_target_properties(warmstart-server PROPERTIES
  INSTALL_RPATH "$ORIGIN/../${_library_folder}/torch/lib")
install(TARGETS warmstart-server warmstart RUNTIME DESTINATION bin)

set(_loaded "")
if(WARMSTART_INSTALL_CUDA)
  set(_loaded ${LIBTORCH_ROOT}/lib/libtorch_cuda.so)
endif()
install(CODE "set(PROGRAM \"$<TARGET_FILE:warmstart-server>\")")
install(CODE "set(LOADED \"${_loaded}\")")
install(CODE "set(LIBTORCH_ROOT \"${LIBTORCH_ROOT}\")")
install(CODE "set(LIBRARY_FOLDER \"${_library_folder}\")")
install(SCRIPT ${CMAKE_CURRENT_LIST_DIR}/InstallLibTorch.cmake)
