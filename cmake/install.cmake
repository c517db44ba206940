# What `make install` puts where: headers, both libraries, carom.pc and the CMake package.

set(CAROM_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/carom)
include(CMakePackageConfigHelpers)

file(GLOB CAROM_HEADERS CONFIGURE_DEPENDS include/*.h)
install(FILES ${CAROM_HEADERS} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

set_target_properties(carom_shared PROPERTIES EXPORT_NAME carom)
install(TARGETS carom_static carom_shared EXPORT carom
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT carom NAMESPACE carom:: FILE carom-targets.cmake DESTINATION ${CAROM_CMAKE_DIR})

if(CAROM_TLS)
    set(CAROM_REQUIRES libssl)
endif()
configure_file(cmake/carom.pc.in carom.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/carom.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

write_basic_package_version_file(${CMAKE_BINARY_DIR}/carom-config-version.cmake
    COMPATIBILITY SameMinorVersion)
configure_file(cmake/carom-config.cmake carom-config.cmake @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/carom-config.cmake ${CMAKE_BINARY_DIR}/carom-config-version.cmake
    DESTINATION ${CAROM_CMAKE_DIR})
