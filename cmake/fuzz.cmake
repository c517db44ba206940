# test/fuzz/<name>.c becomes the program test/fuzz/<name>: with CAROM_FUZZ=ON a libFuzzer target, otherwise
# one that replays inputs, and the test fuzz/<name> does that with the stored corpus.

if(NOT CAROM_FUZZ AND CAROM_TESTS STREQUAL "OFF")
    return()
endif()
file(GLOB sources CONFIGURE_DEPENDS test/fuzz/*.c)
list(REMOVE_ITEM sources ${CMAKE_CURRENT_SOURCE_DIR}/test/fuzz/replay.c)
if(NOT CAROM_TLS)
    list(FILTER sources EXCLUDE REGEX "/tls.c$")
endif()
add_custom_target(carom_fuzz)
foreach(source ${sources})
    carom_program(${source} test/fuzz)
    get_filename_component(name ${source} NAME_WE)
    target_include_directories(test-fuzz-${name} PRIVATE src test)
    add_dependencies(carom_fuzz test-fuzz-${name})
    if(CAROM_FUZZ)
        target_link_options(test-fuzz-${name} PRIVATE -fsanitize=fuzzer)
    else()
        target_sources(test-fuzz-${name} PRIVATE test/fuzz/replay.c)
        add_test(NAME fuzz/${name}
            COMMAND test-fuzz-${name} ${CMAKE_CURRENT_SOURCE_DIR}/test/fuzz/corpus/${name})
        set_tests_properties(fuzz/${name} PROPERTIES
            LABELS fuzz TIMEOUT 120 ENVIRONMENT "${CAROM_TEST_ENVIRONMENT}")
    endif()
endforeach()
