# The simulation: its program, and a range of its runs as a test. It has one thread, so the thread sanitizer has
# nothing to see in it.

if(CAROM_STAGE STREQUAL "tsan")
    return()
endif()

# The engine's sources once more, with coverage marks, under one program (test/simulate); a sanitizer's build counts
# no marks and takes the sources as they are. The clock that the engine asks the system for is the simulated one, too.
file(GLOB sources CONFIGURE_DEPENDS test/simulate/*.c)
set(objects carom_objects)
set(marks)
if(NOT CAROM_STAGE STREQUAL "asan")
    set(objects carom_marked)
    set(marks CAROM_MARKS)
    add_library(carom_marked OBJECT ${CAROM_SOURCES})
    set_target_properties(carom_marked PROPERTIES EXPORT_COMPILE_COMMANDS OFF) # examined once already
    target_include_directories(carom_marked PRIVATE include src)
    target_compile_definitions(carom_marked PRIVATE ${marks})
    target_link_libraries(carom_marked PRIVATE carom_options PkgConfig::NGHTTP2 Threads::Threads ${CAROM_TLS_LIBRARIES} ${CAROM_DEFLATE_LIBRARIES})
endif()
add_executable(simulate ${sources} $<TARGET_OBJECTS:${objects}>)
target_include_directories(simulate PRIVATE include src test)
target_compile_definitions(simulate PRIVATE ${marks})
target_link_libraries(simulate PRIVATE
    carom_options PkgConfig::NGHTTP2 Threads::Threads ${CAROM_TLS_LIBRARIES} ${CAROM_DEFLATE_LIBRARIES})
target_link_options(simulate PRIVATE -Wl,--wrap=clock_gettime)
# So are its calls that are counted (windows.c).
foreach(name server_new3 del consume consume_connection callbacks_set_on_data_chunk_recv_callback)
    target_link_options(simulate PRIVATE -Wl,--wrap=nghttp2_session_${name})
endforeach()
set_target_properties(simulate PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test)

# A fixed range of seeds, in which every mark must be reached; fewer where a run is slow. Then the
# seeds that failed once.
set(runs 3000 --marks)
if(CAROM_STAGE STREQUAL "asan")
    set(runs 700)
endif()
carom_test(simulate/range COMMAND simulate --runs ${runs} COST 60)
file(STRINGS test/simulate/seeds seeds REGEX "^[0-9]")
list(TRANSFORM seeds REPLACE " .*" "")
carom_test(simulate/seeds COMMAND simulate --seeds ${seeds})
