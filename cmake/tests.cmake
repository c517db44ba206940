# Tests, found by their folder. Each has the label of its stage (tidy, gcc, js, asan, tsan, valgrind; nodes and
# asked: run only when somebody asks for it), and in the builds of the sanitizers a name that begins with it, so that
# tools/test-all runs the tests of all builds in one pool; `ctest -C valgrind` has those of valgrind, too.

if(CAROM_TESTS STREQUAL "OFF")
    return()
endif()
pkg_check_modules(CMOCKA QUIET IMPORTED_TARGET cmocka)
if(NOT CMOCKA_FOUND)
    if(CAROM_TESTS STREQUAL "ON")
        message(FATAL_ERROR "the tests need cmocka: run script/bootstrap test")
    endif()
    message(STATUS "carom: tests are left out; they need cmocka (script/bootstrap test)")
    return()
endif()

enable_testing()
# The address sanitizer keeps 16 MiB of what was freed, in the place of 256: more than a conversation of the fault
# tables takes, and its pages do not come from the kernel anew, which took half of their time.
set(CAROM_TEST_ENVIRONMENT
    CAROM_BUILD=${CMAKE_BINARY_DIR}
    CAROM_SOURCE=${CMAKE_CURRENT_SOURCE_DIR}
    CAROM_SANITIZE=${CAROM_SANITIZE}
    PYTHONDONTWRITEBYTECODE=1
    "ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:quarantine_size_mb=16"
    "UBSAN_OPTIONS=print_stacktrace=1"
    "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1")
set(CAROM_PYTHON /usr/bin/python3)
set(CAROM_VALGRIND valgrind --quiet --error-exitcode=99 --leak-check=full
    --errors-for-leak-kinds=definite,indirect,possible --track-fds=no)

set(CAROM_LAUNCHER ${CMAKE_CROSSCOMPILING_EMULATOR})
if(CAROM_SANITIZE STREQUAL "address")
    set(CAROM_STAGE asan)
elseif(CAROM_SANITIZE STREQUAL "thread")
    set(CAROM_STAGE tsan)
    # It cannot place its memory where the kernel randomises addresses too widely.
    execute_process(COMMAND setarch -R true RESULT_VARIABLE refused OUTPUT_QUIET ERROR_QUIET)
    if(refused EQUAL 0)
        set(CAROM_LAUNCHER setarch -R)
    endif()
else()
    set(CAROM_STAGE gcc)
endif()

# carom_test(<name> COMMAND <words>... [STAGE <other than this build's>] [COST <larger: begins earlier>]
#            [ENVIRONMENT <variable=value>...] [PROPERTIES <ctest's>...])
# The limit ends what hangs, by its name. Nothing that is only slow meets it: it is many times what the
# longest test takes, and no wait within a test is longer than a third of it.
function(carom_test name)
    cmake_parse_arguments(test "" "STAGE;COST" "COMMAND;ENVIRONMENT;PROPERTIES" ${ARGN})
    if(NOT test_STAGE)
        set(test_STAGE ${CAROM_STAGE})
    endif()
    if(test_STAGE MATCHES "^(asan|tsan)$")
        set(name ${test_STAGE}/${name})
    endif()
    if(NOT test_COST)
        set(test_COST 0)
    endif()
    set(configuration)
    if(test_STAGE STREQUAL "valgrind")
        set(configuration CONFIGURATIONS valgrind)
    endif()
    add_test(NAME ${name} ${configuration} COMMAND ${CAROM_LAUNCHER} ${test_COMMAND})
    set_tests_properties(${name} PROPERTIES LABELS ${test_STAGE} TIMEOUT 1800 SKIP_RETURN_CODE 77 COST ${test_COST}
        ENVIRONMENT "${CAROM_TEST_ENVIRONMENT};${test_ENVIRONMENT}" ${test_PROPERTIES})
endfunction()

# What only tools/packages links is compiled by nobody here, but examined by `make tidy`.
add_library(carom_packages OBJECT EXCLUDE_FROM_ALL cmake/glibc-2.28.c cmake/musl.c)

# ---------------------------------------------------------------- unit tests

file(GLOB sources CONFIGURE_DEPENDS test/tool/*.c)
foreach(source ${sources})
    carom_program(${source} test/tool)
    get_filename_component(name ${source} NAME_WE)
    target_include_directories(test-tool-${name} PRIVATE src test)
    file(GLOB parts CONFIGURE_DEPENDS test/tool/${name}/*.c)
    target_sources(test-tool-${name} PRIVATE ${parts})
endforeach()

# Programs that take long are run in parts, side by side: CAROM_PART=1/4 has every fourth of its cases.
set(CAROM_PARTS_fault/events 4)
set(CAROM_PARTS_tls/tls_memory 3)

# Handshakes without end, and tens of thousands of conversations: not under valgrind. Of them those that are there to
# lead into every corner are run where each access is checked; `make test` leaves them out elsewhere, ctest has them.
set(CAROM_NOT_VALGRIND "^(tls/tls_memory|http/tls|http/tls_turns|fault/.*)$")
set(CAROM_SANITIZED "^(tls/tls_memory|fault/events)$")

# The thread sanitizer looks at what has threads; the rest has one, and is not built for it.
set(CAROM_THREADED "^(base/inbox|base/memory|net/file|net/loop_turn|http/connection|ring/observer_threads|service/accept|service/service|service/workers)$")

# test/unit/<floor>/test_<name>.c becomes the test unit/<floor>/<name>, and valgrind/<floor>/<name>.
function(carom_unit_tests floor name program)
    set(parts 1)
    if(DEFINED CAROM_PARTS_${floor}/${name})
        set(parts ${CAROM_PARTS_${floor}/${name}})
    endif()
    foreach(part RANGE 1 ${parts})
        set(suffix)
        set(environment)
        set(cost 0)
        if(parts GREATER 1)
            set(suffix -${part})
            set(environment CAROM_PART=${part}/${parts})
            set(cost 60)
        endif()
        set(stage)
        if(CAROM_STAGE STREQUAL "gcc" AND ${floor}/${name} MATCHES ${CAROM_SANITIZED})
            set(stage STAGE asked)
        endif()
        carom_test(unit/${floor}/${name}${suffix} ${stage} COMMAND $<TARGET_FILE:${program}>
            COST ${cost} ENVIRONMENT ${environment})
        # Not those of which one takes minutes: what they do is gone through under the sanitizers.
        if(CAROM_STAGE STREQUAL "gcc" AND NOT ${floor}/${name} MATCHES ${CAROM_NOT_VALGRIND})
            carom_test(valgrind/${floor}/${name}${suffix} STAGE valgrind
                COMMAND ${CAROM_VALGRIND} $<TARGET_FILE:${program}>
                COST ${cost} ENVIRONMENT ${environment} CAROM_VALGRIND=1)
        endif()
    endforeach()
endfunction()

file(GLOB sources CONFIGURE_DEPENDS test/unit/*/test_*.c)
if(NOT CAROM_TLS)
    list(FILTER sources EXCLUDE REGEX "test_tls")
endif()
if(NOT CAROM_DEFLATE)
    list(FILTER sources EXCLUDE REGEX "websocket/test_(deflate|compression)")
endif()
foreach(source ${sources})
    file(STRINGS ${source} spoken REGEX "^#include \"(unit/http/h2_|unit/fault/|http/h2|wire/h2_)")
    if(spoken AND NOT CAROM_HTTP2)
        continue() # it has a client of HTTP/2
    endif()
    get_filename_component(folder ${source} DIRECTORY)
    get_filename_component(floor ${folder} NAME)
    get_filename_component(name ${source} NAME_WE)
    string(REGEX REPLACE "^test_" "" subject ${name})
    if(CAROM_STAGE STREQUAL "tsan" AND NOT ${floor}/${subject} MATCHES ${CAROM_THREADED})
        continue()
    endif()
    carom_program(${source} test/unit/${floor})
    # It compiles in a quarter of the time; undefined behaviour is looked for in the engine.
    set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "-O0;-fno-sanitize=undefined")
    set(target test-unit-${floor}-${name})
    target_include_directories(${target} PRIVATE src test)
    target_link_libraries(${target} PRIVATE PkgConfig::CMOCKA)
    carom_unit_tests(${floor} ${subject} ${target})
endforeach()

# What is tested of a real backend is tested of both.
foreach(name net/descriptors net/file net/loop net/loop_life net/loop_sockets net/loop_turn net/stream service/accept service/workers fault/calls)
    if(CAROM_STAGE STREQUAL "asan" AND name STREQUAL "fault/calls")
        continue() # the longest; what a failed call leads to is the same code on both
    endif()
    if(NOT CAROM_STAGE STREQUAL "tsan" OR name MATCHES ${CAROM_THREADED})
        string(REPLACE "/" "-test_" target ${name})
        if(TARGET test-unit-${target})
            carom_test(uring/${name} COMMAND $<TARGET_FILE:test-unit-${target}> ENVIRONMENT CAROM_BACKEND=uring)
        endif()
    endif()
endforeach()

if(NOT CAROM_HTTP2)
    return() # what follows has clients of it
endif()

include(cmake/simulate.cmake)

# ---------------------------------------------------------------- system tests

# Servers of several threads: workers, a pool of threads that answers, reloading beside serving.
set(CAROM_THREADED_SYSTEM
    "^system/(bindings|calls|cancellation|drain|examples|exchange|listeners|tls|websocket)$|^uring/exchange$|^tls/exchange$")

# What counts, and what asks whether others understand us, is the same in a build that is examined.
set(CAROM_COUNTING_SYSTEM "^system/(addon|allocation|backend|calls|clients|docs|install|instructions|memory|options|oracles)$")

# carom_system_test(<name> <test/system/test_<script>.py> <word of carom_test>...)
function(carom_system_test name script)
    if(CAROM_STAGE STREQUAL "tsan" AND NOT name MATCHES ${CAROM_THREADED_SYSTEM})
        return()
    endif()
    if(CAROM_STAGE STREQUAL "asan" AND name MATCHES ${CAROM_COUNTING_SYSTEM})
        return()
    endif()
    carom_test(${name} COMMAND ${CAROM_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/test/system/test_${script}.py ${ARGN})
endfunction()

set(CAROM_COST_allocation 60)
set(CAROM_COST_instructions 80)
set(CAROM_COST_oracles 30)

file(GLOB sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}/test/system test/system/test_*.py)
if(NOT CAROM_TLS)
    list(FILTER sources EXCLUDE REGEX "test_(tls|addon)")
endif()
if(NOT CAROM_DEFLATE)
    list(FILTER sources EXCLUDE REGEX "test_websocket")
endif()
foreach(source ${sources})
    string(REGEX REPLACE "^test_|\\.py$" "" name ${source})
    set(only)
    if(CAROM_STAGE STREQUAL "tsan" AND name STREQUAL "tls") # two threads are in it when certificates change
        set(only -k reload -k watch -k many_handshakes)
    elseif(CAROM_STAGE STREQUAL "tsan" AND name STREQUAL "examples") # those with workers, or with threads of their own
        set(only -k Hello -k Later -k Embed)
    elseif(CAROM_STAGE STREQUAL "tsan" AND name STREQUAL "websocket") # what is published goes to all workers
        set(only -k Room)
    elseif(CAROM_STAGE STREQUAL "tsan" AND name STREQUAL "bindings") # the other is not compiled with it, and has one thread
        set(only -k vm)
    endif()
    carom_system_test(system/${name} ${name} ${only} COST ${CAROM_COST_${name}})
    # Those that look at programs of their own, or at how bytes are understood, are the same on both backends; in
    # slow builds the most telling ones must do.
    if(NOT name MATCHES "^(addon|backend|bindings|clients|docs|examples|install|instructions|options|oracles|tls|websocket)$" AND
       (NOT CAROM_SANITIZE OR name MATCHES "^(exchange|cancellation)$"))
        carom_system_test(uring/${name} ${name} ENVIRONMENT CAROM_BACKEND=uring)
    endif()
endforeach()

# Over TLS, what is the same there; the rest is in system/tls.
if(CAROM_TLS)
    foreach(name exchange cancellation drain files h2_conformance)
        carom_system_test(tls/${name} ${name} ENVIRONMENT CAROM_TLS=1)
    endforeach()
endif()

# This runs under valgrind too: it takes every path of an exchange. The harness makes its numbers smaller
# when there is a wrapper.
if(CAROM_STAGE STREQUAL "gcc")
    list(JOIN CAROM_VALGRIND " " wrapper)
    carom_test(valgrind/system/exchange COMMAND ${CAROM_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/test/system/test_exchange.py
        STAGE valgrind COST 100 ENVIRONMENT CAROM_WRAPPER=${wrapper})
endif()

# ---------------------------------------------------------------- JavaScript

# An addon that a test needs beside ours.
if(TARGET carom_node AND NOT CAROM_STAGE STREQUAL "tsan")
    add_library(nested_loop MODULE js/test/nested-loop.c)
    target_include_directories(nested_loop SYSTEM PRIVATE ${CAROM_NODE_API} ${CAROM_UV})
    target_link_libraries(nested_loop PRIVATE carom_options)
    set_source_files_properties(js/test/nested-loop.c PROPERTIES COMPILE_OPTIONS -Wno-missing-prototypes) # the macro's
    set_target_properties(nested_loop PROPERTIES PREFIX "" OUTPUT_NAME nested-loop SUFFIX .node
        LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test)
endif()

# js/test/<name>.test.mjs becomes the test js/<name>. What they need of npm is installed first.
if(TARGET carom_node AND CAROM_STAGE STREQUAL "gcc")
    set(js ${CMAKE_CURRENT_SOURCE_DIR}/js)
    set(CAROM_JS_PROPERTIES WORKING_DIRECTORY ${js} FIXTURES_REQUIRED packages)
    # carom_js_test(<name> <runtime and its arguments>...)
    function(carom_js_test name)
        carom_test(js/${name} STAGE js COST 20 COMMAND ${ARGN} PROPERTIES ${CAROM_JS_PROPERTIES}
            ENVIRONMENT CAROM_NODE=$<TARGET_FILE:carom_node>)
    endfunction()

    carom_test(js/packages STAGE js COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tools/js-packages COST 200
        PROPERTIES FIXTURES_SETUP packages)
    carom_test(js/layout STAGE js COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tools/ring-layout --check)
    file(GLOB sources CONFIGURE_DEPENDS RELATIVE ${js}/test js/test/*.test.mjs js/test/*/*.test.mjs)
    foreach(source ${sources})
        string(REPLACE ".test.mjs" "" name ${source})
        carom_js_test(${name} node --test --expose-gc test/${source})
    endforeach()
    # How processes begin and end, forty of them: the same test runs where every access is checked (asan/js/process).
    set_tests_properties(js/process PROPERTIES LABELS asked)
    carom_js_test(uring/app node --test --expose-gc test/app.test.mjs)
    set_property(TEST js/uring/app APPEND PROPERTY ENVIRONMENT CAROM_BACKEND=uring)
    # On other runtimes those tests that are about them, too.
    set(files test/fetch test/serve.test.mjs test/attacks.test.mjs test/misuse.test.mjs test/app.test.mjs test/bodies.test.mjs
        test/proxy.test.mjs test/leaving.test.mjs test/limits.test.mjs test/hono.test.mjs test/websocket.test.mjs test/websocket-asked.test.mjs
        test/websocket-standard.test.mjs test/websocket-listeners.test.mjs test/websocket-streams.test.mjs test/websocket-served.test.mjs test/websocket-adapters.test.mjs)
    carom_js_test(bun node_modules/.bin/bun test --timeout 600000 ${files})
    carom_js_test(deno node_modules/.bin/deno test --quiet --no-check --allow-all ${files})
    # The same tests of applications over the engine in JavaScript.
    file(GLOB applications CONFIGURE_DEPENDS RELATIVE ${js} js/test/fetch/*.test.mjs js/test/node/*.test.mjs)
    list(APPEND applications ${files} test/options.test.mjs test/requests.test.mjs test/tls.test.mjs)
    list(REMOVE_ITEM applications test/fetch) # folders are for the others
    carom_js_test(portable/node node --test --expose-gc ${applications})
    carom_js_test(portable/bun node_modules/.bin/bun test --timeout 600000 ${files})
    carom_js_test(portable/deno node_modules/.bin/deno test --quiet --no-check --allow-all ${files})
    foreach(runtime node bun deno)
        set_property(TEST js/portable/${runtime} APPEND PROPERTY ENVIRONMENT CAROM_ENGINE=portable)
        set_tests_properties(js/portable/${runtime} PROPERTIES LABELS nodes) # long, and of no use to who works on the engine in C
    endforeach()
    carom_test(js/portable/page STAGE js COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tools/portable-page --check)
    # Bun runs all of its files in one process, and these change what is global.
    carom_js_test(bun/globals node_modules/.bin/bun test --timeout 600000 test/globals)
    carom_js_test(deno/globals node_modules/.bin/deno test --quiet --no-check --allow-all test/globals)
endif()

# On other releases of Node all tests but those that are about the engine, processes or other programs.
if(TARGET carom_node AND CAROM_STAGE STREQUAL "gcc")
    list(TRANSFORM sources PREPEND test/)
    list(FILTER sources EXCLUDE REGEX
        "test/(cli|attacks|bundle|counts|docs|examples|layout|limits|misuse|options|output|package|process|ring|source|standing)")
    carom_test(js/nodes STAGE nodes COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tools/js-nodes COST 200
        PROPERTIES FIXTURES_SETUP nodes FIXTURES_REQUIRED packages)
    foreach(release 18 22 24 26)
        carom_test(js/nodes/${release} STAGE nodes COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tools/js-nodes ${release} ${sources} COST 20
            ENVIRONMENT CAROM_NODE=$<TARGET_FILE:carom_node>
            PROPERTIES WORKING_DIRECTORY ${js} FIXTURES_REQUIRED nodes)
    endforeach()
endif()

# What tools of others make of the package: package managers, compilers of types, bundlers; and the reference that is made of its types.
if(TARGET carom_node AND CAROM_STAGE STREQUAL "gcc")
    carom_test(js/tools STAGE nodes COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tools/js-tools COST 200
        PROPERTIES FIXTURES_SETUP tools FIXTURES_REQUIRED packages)
    foreach(name managers types bundlers)
        carom_test(js/tools/${name} STAGE nodes COMMAND node --test tools/${name}.test.mjs COST 20
            ENVIRONMENT CAROM_NODE=$<TARGET_FILE:carom_node>
            PROPERTIES WORKING_DIRECTORY ${js} FIXTURES_REQUIRED tools)
    endforeach()
    carom_test(js/tools/reference STAGE nodes COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tools/js-reference
        ENVIRONMENT BUILD=${CMAKE_BINARY_DIR} PROPERTIES FIXTURES_REQUIRED tools)
endif()

# The addon with every access checked, while garbage is written into the memory that it shares with
# JavaScript. Node itself knows nothing of the sanitizer, and its leaks are not ours.
if(TARGET carom_node AND CAROM_STAGE STREQUAL "asan")
    set(library libasan.so)
    if(CMAKE_C_COMPILER_ID MATCHES Clang)
        set(library libclang_rt.asan-${CMAKE_SYSTEM_PROCESSOR}.so)
    endif()
    execute_process(COMMAND ${CMAKE_C_COMPILER} -print-file-name=${library}
        OUTPUT_VARIABLE library OUTPUT_STRIP_TRAILING_WHITESPACE)
    # A report has short stacks of who allocated: to walk each of Node's takes half of its start.
    set(options detect_leaks=0:quarantine_size_mb=16:malloc_context_size=2)
    # Of what is counted, that nothing is lost: the rest is the same in a build that is examined.
    set(only_counts --test-name-pattern=lent)
    foreach(name process counts standing node/connections)
        carom_test(js/${name} COMMAND node --test --expose-gc ${only_${name}} test/${name}.test.mjs COST 20
            ENVIRONMENT LD_PRELOAD=${library} ASAN_OPTIONS=${options} CAROM_NODE=$<TARGET_FILE:carom_node>
            PROPERTIES WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/js)
    endforeach()
endif()

# ---------------------------------------------------------------- what looks at the sources

if(NOT CAROM_STAGE STREQUAL "gcc")
    return()
endif()

find_program(CAROM_SPIN spin)
if(CAROM_SPIN)
    file(GLOB sources CONFIGURE_DEPENDS test/model/*.pml)
    foreach(source ${sources})
        get_filename_component(name ${source} NAME_WE)
        carom_test(model/${name} COMMAND ${CAROM_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/test/model/run ${name})
    endforeach()
else()
    message(STATUS "carom: the models are not checked; they need spin (script/bootstrap test)")
endif()

# It runs its tools on all cores by itself.
cmake_host_system_information(RESULT cores QUERY NUMBER_OF_LOGICAL_CORES)
carom_test(tidy STAGE tidy COST 300 COMMAND ${CAROM_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/tools/tidy
    ENVIRONMENT BUILD=${CMAKE_BINARY_DIR} PROPERTIES PROCESSORS ${cores} FIXTURES_REQUIRED packages)
carom_test(tools/tidy STAGE tidy COMMAND ${CAROM_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/tools/tidy --self-test
    PROPERTIES FIXTURES_REQUIRED packages)

# The table of faults (test/mutants) fits the code and the tests; `make mutants` puts them in.
foreach(option self-test check)
    carom_test(tools/mutants-${option} STAGE tidy
        COMMAND ${CAROM_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/tools/mutants --${option})
endforeach()

# What programs rely on that were compiled against the last release: kept in test/abi.
carom_test(tools/abi STAGE tidy COMMAND ${CAROM_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/tools/abi)
carom_test(tools/abi-self-test STAGE tidy COMMAND ${CAROM_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/tools/abi --self-test)
