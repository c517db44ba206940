# Programs found by their folder: examples, benchmarks, test tools, unit and system tests.

# What a program needs beyond libcarom, by its name: pkg-config modules.
set(CAROM_NEEDS_upload libcrypto)
set(CAROM_NEEDS_embed libuv)
set(CAROM_NEEDS_app jansson)

# Those that are measured, and so linked as libcarom.so is.
set(CAROM_MEASURED hello app engine large parse)

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
    endif()
    add_executable(${target} ${source})
    target_link_libraries(${target} PRIVATE ${engine} carom_options ${libraries})
    set_target_properties(${target} PROPERTIES
        OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/${folder})
endfunction()

file(GLOB sources CONFIGURE_DEPENDS examples/c/*.c)
foreach(source ${sources})
    carom_program(${source} examples)
endforeach()

file(GLOB sources CONFIGURE_DEPENDS bench/*.c)
foreach(source ${sources})
    carom_program(${source} bench)
    get_filename_component(name ${source} NAME_WE)
    if(TARGET bench-${name})
        target_include_directories(bench-${name} PRIVATE src)
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
    endif()
endforeach()

# ---------------------------------------------------------------- tests

if(CAROM_TESTS STREQUAL "OFF")
    return()
endif()
if(PKG_CONFIG_FOUND)
    pkg_check_modules(CMOCKA QUIET IMPORTED_TARGET cmocka)
endif()
if(NOT CMOCKA_FOUND)
    if(CAROM_TESTS STREQUAL "ON")
        message(FATAL_ERROR "the tests need cmocka: run script/bootstrap test")
    endif()
    message(STATUS "carom: tests are left out; they need cmocka (script/bootstrap test)")
    return()
endif()

enable_testing()
set(CAROM_TEST_ENVIRONMENT
    CAROM_BUILD=${CMAKE_BINARY_DIR}
    CAROM_SOURCE=${CMAKE_CURRENT_SOURCE_DIR}
    CAROM_SANITIZE=${CAROM_SANITIZE}
    PYTHONDONTWRITEBYTECODE=1
    "ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1"
    "UBSAN_OPTIONS=print_stacktrace=1"
    "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1")
set(CAROM_PYTHON /usr/bin/python3)
set(CAROM_VALGRIND valgrind --quiet --error-exitcode=99 --leak-check=full
    --errors-for-leak-kinds=definite,indirect,possible --track-fds=no)

file(GLOB sources CONFIGURE_DEPENDS test/tool/*.c)
foreach(source ${sources})
    carom_program(${source} test/tool)
    get_filename_component(name ${source} NAME_WE)
    target_include_directories(test-tool-${name} PRIVATE src test)
    file(GLOB parts CONFIGURE_DEPENDS test/tool/${name}/*.c)
    target_sources(test-tool-${name} PRIVATE ${parts})
endforeach()

# test/unit/<floor>/test_<name>.c becomes the test unit/<floor>/<name>, and valgrind/<floor>/<name>,
# which runs only with `ctest -C valgrind -L valgrind`.
file(GLOB sources CONFIGURE_DEPENDS test/unit/*/test_*.c)
if(NOT CAROM_TLS)
    list(FILTER sources EXCLUDE REGEX "test_tls")
endif()
foreach(source ${sources})
    get_filename_component(folder ${source} DIRECTORY)
    get_filename_component(floor ${folder} NAME)
    get_filename_component(name ${source} NAME_WE)
    carom_program(${source} test/unit/${floor})
    set(target test-unit-${floor}-${name})
    target_include_directories(${target} PRIVATE src test)
    target_link_libraries(${target} PRIVATE PkgConfig::CMOCKA)

    string(REGEX REPLACE "^test_" "" name ${name})
    add_test(NAME unit/${floor}/${name} COMMAND ${target})
    set_tests_properties(unit/${floor}/${name} PROPERTIES
        LABELS unit TIMEOUT 120 SKIP_RETURN_CODE 77 ENVIRONMENT "${CAROM_TEST_ENVIRONMENT}")
    if(name STREQUAL "tls_memory")
        continue() # a handshake for each allocation: four minutes under valgrind; the sanitizers do it
    endif()
    add_test(NAME valgrind/${floor}/${name} CONFIGURATIONS valgrind
        COMMAND ${CAROM_VALGRIND} $<TARGET_FILE:${target}>)
    set_tests_properties(valgrind/${floor}/${name} PROPERTIES
        LABELS valgrind TIMEOUT 300 SKIP_RETURN_CODE 77
        ENVIRONMENT "${CAROM_TEST_ENVIRONMENT};CAROM_VALGRIND=1")
endforeach()

# What is tested of a real backend is tested of both.
foreach(name net/file net/loop net/loop_sockets net/loop_turn net/stream service/accept fault/calls)
    string(REPLACE "/" "-test_" target ${name})
    add_test(NAME uring/${name} COMMAND test-unit-${target})
    set_tests_properties(uring/${name} PROPERTIES LABELS unit TIMEOUT 120
        SKIP_RETURN_CODE 77 ENVIRONMENT "${CAROM_TEST_ENVIRONMENT};CAROM_BACKEND=uring")
endforeach()

file(GLOB sources CONFIGURE_DEPENDS test/system/test_*.py)
if(NOT CAROM_TLS)
    list(FILTER sources EXCLUDE REGEX "test_(tls|addon)")
endif()
foreach(source ${sources})
    get_filename_component(name ${source} NAME_WE)
    string(REGEX REPLACE "^test_" "" name ${name})
    add_test(NAME system/${name} COMMAND ${CAROM_PYTHON} ${source})
    set_tests_properties(system/${name} PROPERTIES
        LABELS system TIMEOUT 300 ENVIRONMENT "${CAROM_TEST_ENVIRONMENT}")
    # Those that look at programs of their own are the same on both backends; in slow builds the
    # most telling ones must do.
    if(NOT name MATCHES "^(addon|backend|docs|examples|install|instructions)$" AND
       (NOT CAROM_SANITIZE OR name MATCHES "^(exchange|cancellation|drain|limits)$"))
        add_test(NAME uring/${name} COMMAND ${CAROM_PYTHON} ${source})
        set_tests_properties(uring/${name} PROPERTIES LABELS system TIMEOUT 300
            SKIP_RETURN_CODE 77 ENVIRONMENT "${CAROM_TEST_ENVIRONMENT};CAROM_BACKEND=uring")
    endif()
    if(TEST uring/allocation AND NOT CAROM_SANITIZE) # the longest one
        set_property(TEST uring/allocation APPEND PROPERTY ENVIRONMENT CAROM_TEST_SCALE=0.25)
    endif()
endforeach()

# Over TLS, what is the same there; the rest is in system/tls.
if(CAROM_TLS)
    foreach(name exchange cancellation drain files h2_conformance)
        add_test(NAME tls/${name}
            COMMAND ${CAROM_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/test/system/test_${name}.py)
        set_tests_properties(tls/${name} PROPERTIES LABELS system TIMEOUT 300
            ENVIRONMENT "${CAROM_TEST_ENVIRONMENT};CAROM_TLS=1")
    endforeach()
endif()

# These run under valgrind too: they take every path of an exchange and every way out of one. The
# harness makes their deadlines longer and their numbers smaller when there is a wrapper.
list(JOIN CAROM_VALGRIND " " wrapper)
foreach(name exchange cancellation)
    add_test(NAME valgrind/system/${name} CONFIGURATIONS valgrind
        COMMAND ${CAROM_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/test/system/test_${name}.py)
    set_tests_properties(valgrind/system/${name} PROPERTIES
        LABELS valgrind TIMEOUT 600 ENVIRONMENT "${CAROM_TEST_ENVIRONMENT};CAROM_WRAPPER=${wrapper}")
endforeach()

# The models are the same under every compiler and sanitizer, so they have a label of their own.
find_program(CAROM_SPIN spin)
if(CAROM_SPIN)
    file(GLOB sources CONFIGURE_DEPENDS test/model/*.pml)
    foreach(source ${sources})
        get_filename_component(name ${source} NAME_WE)
        add_test(NAME model/${name} COMMAND ${CAROM_PYTHON}
            ${CMAKE_CURRENT_SOURCE_DIR}/test/model/run ${name})
        set_tests_properties(model/${name} PROPERTIES
            LABELS model TIMEOUT 120 ENVIRONMENT "${CAROM_TEST_ENVIRONMENT}")
    endforeach()
else()
    message(STATUS "carom: the models are not checked; they need spin (script/bootstrap test)")
endif()

add_test(NAME tools/tidy COMMAND ${CAROM_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/tools/tidy --self-test)
set_tests_properties(tools/tidy PROPERTIES
    LABELS tools TIMEOUT 60 ENVIRONMENT "${CAROM_TEST_ENVIRONMENT}")

# The table of faults (test/mutants) fits the code and the tests; `make mutants` puts them in.
foreach(option self-test check)
    add_test(NAME tools/mutants-${option}
        COMMAND ${CAROM_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/tools/mutants --${option})
    set_tests_properties(tools/mutants-${option} PROPERTIES
        LABELS tools TIMEOUT 60 ENVIRONMENT "${CAROM_TEST_ENVIRONMENT}")
endforeach()

# The simulation (test/simulate): the engine's sources once more, with coverage marks, under one
# program. The clock that the engine asks the system for is the simulated one, too.
file(GLOB sources CONFIGURE_DEPENDS test/simulate/*.c)
add_library(carom_marked OBJECT ${CAROM_SOURCES})
set_target_properties(carom_marked PROPERTIES EXPORT_COMPILE_COMMANDS OFF) # examined once already
add_executable(simulate ${sources} $<TARGET_OBJECTS:carom_marked>)
foreach(target carom_marked simulate)
    target_include_directories(${target} PRIVATE include src test)
    target_compile_definitions(${target} PRIVATE CAROM_MARKS)
    target_link_libraries(${target} PRIVATE
        carom_options PkgConfig::NGHTTP2 Threads::Threads ${CAROM_TLS_LIBRARIES})
endforeach()
target_link_options(simulate PRIVATE -Wl,--wrap=clock_gettime)
set_target_properties(simulate PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test)

# A fixed range of seeds, in which every mark must be reached; fewer where a run is slow. Then the
# seeds that failed once.
set(runs 6000 --marks)
if(CAROM_SANITIZE STREQUAL "address")
    set(runs 1000)
elseif(CAROM_SANITIZE) # it has one thread
    set(runs 150)
endif()
add_test(NAME simulate/range COMMAND simulate --runs ${runs})
file(STRINGS test/simulate/seeds seeds REGEX "^[0-9]")
list(TRANSFORM seeds REPLACE " .*" "")
add_test(NAME simulate/seeds COMMAND simulate --seeds ${seeds})
set_tests_properties(simulate/range simulate/seeds PROPERTIES
    LABELS system TIMEOUT 300 ENVIRONMENT "${CAROM_TEST_ENVIRONMENT}")
