# Programs found by their folder: examples and benchmarks; carom_program() for all that are.

# What a program needs beyond libcarom, by its name: pkg-config modules.
set(CAROM_NEEDS_upload libcrypto)
set(CAROM_NEEDS_embed libuv)
set(CAROM_NEEDS_app jansson)
set(CAROM_NEEDS_database libpq)
set(CAROM_NEEDS_database_threads libpq)
set(CAROM_NEEDS_cache hiredis)
set(CAROM_NEEDS_proxy libcurl)
set(CAROM_NEEDS_duk duktape)
set(CAROM_NEEDS_ws_floor zlib)
set(CAROM_NEEDS_ws_load zlib)

# Those that are measured, and so linked as libcarom.so is; or to it, which spares them ten seconds of linking each.
set(CAROM_MEASURED hello app database_threads engine large parse)
set(CAROM_MEASURED_SHARED vm duk database websocket)

# Make the program <folder>/<name> in the build directory from one source file. The target is called
# <folder>-<name> with - for /, and is left out, with a message, when a library it needs is missing.
function(carom_program source folder)
    get_filename_component(name ${source} NAME_WE)
    string(REPLACE "/" "-" target ${folder}-${name})
    foreach(module ${CAROM_NEEDS_${name}})
        if(PKG_CONFIG_FOUND)
            pkg_check_modules(CAROM_${module} QUIET IMPORTED_TARGET ${module})
        endif()
        if(NOT CAROM_${module}_FOUND)
            message(STATUS "carom: ${folder}/${name} is left out; it needs ${module} (script/bootstrap)")
            return()
        endif()
        list(APPEND libraries PkgConfig::CAROM_${module})
    endforeach()
    set(engine carom_static)
    if(name IN_LIST CAROM_MEASURED)
        set(engine ${CAROM_WHOLE})
    elseif(CAROM_LTO AND name IN_LIST CAROM_MEASURED_SHARED)
        set(engine carom_shared)
    endif()
    add_executable(${target} ${source})
    target_link_libraries(${target} PRIVATE ${engine} carom_options ${libraries})
    if(CAROM_GOLD AND folder MATCHES "^test/" AND NOT CAROM_FUZZ)
        target_link_options(${target} PRIVATE -fuse-ld=gold)
    endif()
    set_target_properties(${target} PROPERTIES
        OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/${folder})
endfunction()

file(GLOB sources CONFIGURE_DEPENDS examples/c/*.c examples/bindings/*.c)
foreach(source ${sources})
    carom_program(${source} examples)
endforeach()

if(CAROM_SANITIZE OR CAROM_FUZZ) # what is measured is not built to be examined
    return()
endif()

# Nobody needs them but who measures: `make bench` builds the target `benchmarks`.
add_custom_target(benchmarks)
function(carom_measured target)
    set_target_properties(${target} PROPERTIES EXCLUDE_FROM_ALL ON)
    add_dependencies(benchmarks ${target})
endfunction()
file(GLOB sources CONFIGURE_DEPENDS bench/*.c)
foreach(source ${sources})
    carom_program(${source} bench)
    get_filename_component(name ${source} NAME_WE)
    if(TARGET bench-${name})
        target_include_directories(bench-${name} PRIVATE src)
        carom_measured(bench-${name})
    endif()
endforeach()

# Others to compare with, where their library is there.
pkg_check_modules(MICROHTTPD QUIET IMPORTED_TARGET libmicrohttpd)
pkg_check_modules(EVHTTP QUIET IMPORTED_TARGET libevent_extra libevent_core)
foreach(peer microhttpd evhttp)
    string(TOUPPER ${peer} library)
    if(${library}_FOUND)
        add_executable(peer-${peer} bench/peers/${peer}.c)
        target_link_libraries(peer-${peer} PRIVATE carom_options PkgConfig::${library} Threads::Threads)
        set_target_properties(peer-${peer} PROPERTIES
            OUTPUT_NAME ${peer} RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench/peers)
        carom_measured(peer-${peer})
    endif()
endforeach()
