# find_package(carom) gives carom::carom (shared) and carom::carom_static.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/carom-targets.cmake)
