# Installs each library that PROGRAM, or a library that it loads (LOADED), needs
# from the folder that holds LIBTORCH_ROOT. Run by `cmake --install`; see
# Install.cmake.

get_filename_component(_packages "${LIBTORCH_ROOT}" DIRECTORY)
file(REAL_PATH "${_packages}" _packages)

# What comes with a driver or a network card is not there to be found.
file(GET_RUNTIME_DEPENDENCIES
  EXECUTABLES ${PROGRAM}
  LIBRARIES ${LOADED}
  RESOLVED_DEPENDENCIES_VAR _libraries
  UNRESOLVED_DEPENDENCIES_VAR _unresolved)

foreach(_library IN LISTS _libraries LOADED)
  get_filename_component(_folder "${_library}" DIRECTORY)
  file(REAL_PATH "${_folder}" _folder)
  cmake_path(IS_PREFIX _packages "${_folder}" _is_ours)
  if(_is_ours)
    # torch/lib, whatever the folder is called where LibTorch was unpacked.
    string(REPLACE "${LIBTORCH_ROOT}" "${_packages}/torch" _folder "${_folder}")
    cmake_path(RELATIVE_PATH _folder BASE_DIRECTORY "${_packages}")
    file(INSTALL "${_library}"
         DESTINATION "${CMAKE_INSTALL_PREFIX}/${LIBRARY_FOLDER}/${_folder}"
         TYPE SHARED_LIBRARY FOLLOW_SYMLINK_CHAIN)
  endif()
endforeach()
foreach(_library IN LISTS _unresolved)
  if(_library MATCHES "torch|c10")
    message(FATAL_ERROR "${_library} was not found")
  endif()
  message(STATUS "Left to this machine: ${_library}")
endforeach()
