# The virtual environment that tools/setup.sh made: where it is, and what the build
# takes from it unless told otherwise.
#
# Its path follows from the pinned requirements, so it is asked for each time, and
# a changed requirement configures anew.

execute_process(COMMAND ${CMAKE_SOURCE_DIR}/tools/env.sh
                OUTPUT_VARIABLE WARMSTART_VENV
                OUTPUT_STRIP_TRAILING_WHITESPACE
                COMMAND_ERROR_IS_FATAL ANY)
set_property(DIRECTORY ${CMAKE_SOURCE_DIR} APPEND PROPERTY
             CMAKE_CONFIGURE_DEPENDS
             tools/requirements.txt tools/requirements-data.txt)
file(GLOB _packages ${WARMSTART_VENV}/lib/python3*/site-packages)

set(LIBTORCH_ROOT "" CACHE PATH
    "Folder with LibTorch's include/ and lib/; empty: the torch wheel's")
set(WARMSTART_GOOGLEAPIS_DIR "" CACHE PATH
    "Folder with google/rpc/*.proto; empty: that of googleapis-common-protos")
set(WARMSTART_PYTHON "" CACHE FILEPATH
    "Python with PyTorch, for tests; empty: the virtual environment's")

if(NOT LIBTORCH_ROOT)
  set(LIBTORCH_ROOT ${_packages}/torch)
endif()
if(NOT WARMSTART_GOOGLEAPIS_DIR)
  set(WARMSTART_GOOGLEAPIS_DIR ${_packages})
endif()
if(NOT WARMSTART_PYTHON)
  set(WARMSTART_PYTHON ${WARMSTART_VENV}/bin/python)
endif()
