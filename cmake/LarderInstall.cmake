# The cache as libraries for programs outside this tree, and how they find them.
#
#   larder::larder   liblarder++.a: C++ and C, linked in; needs threads and nothing else
#   larder::c        liblarder.so.0: the functions of larder/larder.h and no other name, for C and for all that load it
#
# `cmake --install BUILD --component library` installs them with their headers, a CMake package and pkg-config files; the
# component `program` is the rest. The archive has another name than the shared library because -llarder takes a shared
# library where both are, and C++ programs would miss what that one hides.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# In the tree the modules themselves are linked.
add_library(larder::larder ALIAS larder_engine)
if(LARDER_FUZZ)
  return()
endif()

set(objects $<TARGET_OBJECTS:larder_base> $<TARGET_OBJECTS:larder_engine>)
add_library(larder_archive STATIC ${objects})
set_target_properties(larder_archive PROPERTIES OUTPUT_NAME larder++ EXPORT_NAME larder LINKER_LANGUAGE CXX)
target_compile_features(larder_archive INTERFACE cxx_std_20)
target_link_libraries(larder_archive INTERFACE Threads::Threads)
target_include_directories(larder_archive INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

set(exports ${CMAKE_CURRENT_LIST_DIR}/larder_c.map)
add_library(larder_c SHARED ${objects})
add_library(larder::c ALIAS larder_c)
set_target_properties(larder_c PROPERTIES
  OUTPUT_NAME larder EXPORT_NAME c LINKER_LANGUAGE CXX
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR} LINK_DEPENDS ${exports})
# Never unloaded: its thread that flushes, and its words with fork(), may outlive a dlclose().
target_link_options(larder_c PRIVATE -Wl,--version-script=${exports} -Wl,-z,nodelete)
target_link_libraries(larder_c PRIVATE Threads::Threads)
target_include_directories(larder_c INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

install(TARGETS larder_archive larder_c EXPORT larderTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/larder DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT library
  FILES_MATCHING PATTERN *.h)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/larder)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/larderConfig.cmake.in
  ${PROJECT_BINARY_DIR}/larderConfig.cmake INSTALL_DESTINATION ${package} NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor version may change what a program is compiled against.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/larderConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(EXPORT larderTargets NAMESPACE larder:: DESTINATION ${package} COMPONENT library)
install(FILES ${PROJECT_BINARY_DIR}/larderConfig.cmake ${PROJECT_BINARY_DIR}/larderConfigVersion.cmake
  DESTINATION ${package} COMPONENT library)

# Paths in them are relative to themselves, so that the folder may be moved.
file(RELATIVE_PATH up /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
foreach(name larder larder-c)
  configure_file(${CMAKE_CURRENT_LIST_DIR}/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT library)
endforeach()
