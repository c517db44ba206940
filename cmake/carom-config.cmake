# find_package(carom) gives carom::carom (shared), and carom::carom_static where what an archive is linked with can
# be found, too. COMPONENTS shared looks for no more than the first, COMPONENTS static insists on the second.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/carom-shared-targets.cmake)
set(carom_shared_FOUND TRUE)

if(NOT carom_FIND_COMPONENTS OR "static" IN_LIST carom_FIND_COMPONENTS)
    set(carom_static_FOUND TRUE)
    if(@CAROM_TLS@)
        find_package(OpenSSL 3.0 QUIET)
        set(carom_static_FOUND ${OpenSSL_FOUND})
    endif()
    if(@CAROM_DEFLATE@ AND carom_static_FOUND)
        find_package(ZLIB QUIET)
        set(carom_static_FOUND ${ZLIB_FOUND})
    endif()
    if(carom_static_FOUND)
        include(${CMAKE_CURRENT_LIST_DIR}/carom-static-targets.cmake)
    endif()
endif()

foreach(component IN LISTS carom_FIND_COMPONENTS)
    if(carom_FIND_REQUIRED_${component} AND NOT carom_${component}_FOUND)
        set(carom_FOUND FALSE)
        set(carom_NOT_FOUND_MESSAGE "there is no component '${component}' (shared; static, which needs OpenSSL's \
and zlib's development files, Debian: libssl-dev zlib1g-dev)")
    endif()
endforeach()
