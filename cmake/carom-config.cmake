# find_package(carom) gives carom::carom (shared) and carom::carom_static.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
if(@CAROM_TLS@)
    find_dependency(OpenSSL 3.0)
endif()
include(${CMAKE_CURRENT_LIST_DIR}/carom-targets.cmake)
