# What `make install` puts where: headers, both libraries, carom.pc and the CMake package. The component
# `runtime` has what a program needs that is linked with the shared library, `development` what one is made with,
# `docs` the pages of `make reference`, if they were made.

set(CAROM_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/carom)
include(CMakePackageConfigHelpers)

file(GLOB CAROM_HEADERS CONFIGURE_DEPENDS include/*.h)
install(FILES ${CAROM_HEADERS} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)

set_target_properties(carom_shared PROPERTIES EXPORT_NAME carom)
install(TARGETS carom_shared EXPORT carom-shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    COMPONENT runtime NAMELINK_COMPONENT development)
install(TARGETS carom_static EXPORT carom-static ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
foreach(kind shared static)
    install(EXPORT carom-${kind} NAMESPACE carom:: FILE carom-${kind}-targets.cmake
        DESTINATION ${CAROM_CMAKE_DIR} COMPONENT development)
endforeach()

if(CAROM_TLS)
    list(APPEND CAROM_REQUIRES libssl)
endif()
if(CAROM_DEFLATE)
    list(APPEND CAROM_REQUIRES zlib)
endif()
if(CAROM_HAS_ISAL)
    list(APPEND CAROM_REQUIRES libisal)
endif()
list(JOIN CAROM_REQUIRES ", " CAROM_REQUIRES)
if(CAROM_HTTP2)
    set(CAROM_ARCHIVES -lnghttp2)
endif()
# It names its prefix from where it lies, so it is right wherever that is.
file(RELATIVE_PATH CAROM_PC_TO_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/carom.pc.in carom.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/carom.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)

install(DIRECTORY ${CMAKE_BINARY_DIR}/reference/man/ DESTINATION ${CMAKE_INSTALL_MANDIR} COMPONENT docs OPTIONAL)
install(DIRECTORY ${CMAKE_BINARY_DIR}/reference/html DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT docs OPTIONAL)

write_basic_package_version_file(${CMAKE_BINARY_DIR}/carom-config-version.cmake
    COMPATIBILITY SameMinorVersion)
configure_file(cmake/carom-config.cmake carom-config.cmake @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/carom-config.cmake ${CMAKE_BINARY_DIR}/carom-config-version.cmake
    DESTINATION ${CAROM_CMAKE_DIR} COMPONENT development)
