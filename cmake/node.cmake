# carom.node: the addon of the JavaScript package. It brings its own libcarom with hidden symbols and
# finds Node-API (and libuv, only in Node) in the program that loads it.

find_path(CAROM_NODE_API node_api.h
    PATHS ${CMAKE_CURRENT_SOURCE_DIR}/js/node_modules/node-api-headers/include
    PATH_SUFFIXES node NO_CACHE)
find_path(CAROM_UV uv.h PATHS ${CAROM_NODE_API} PATH_SUFFIXES node NO_CACHE)
if(NOT CAROM_NODE_API OR NOT CAROM_UV)
    message(STATUS "carom: carom.node is left out; it needs node_api.h and uv.h (script/bootstrap)")
    return()
endif()

file(GLOB sources CONFIGURE_DEPENDS bindings/node/*.c)
if(NOT CAROM_TLS)
    list(REMOVE_ITEM sources ${CMAKE_CURRENT_SOURCE_DIR}/bindings/node/openssl.c)
endif()
add_library(carom_node MODULE ${sources} ${CAROM_WHOLE_OBJECTS})
target_include_directories(carom_node PRIVATE include ${OPENSSL_INCLUDE_DIR})
target_include_directories(carom_node SYSTEM PRIVATE ${CAROM_NODE_API} ${CAROM_UV})
target_link_libraries(carom_node PRIVATE carom_options ${CAROM_NGHTTP2_STATIC} Threads::Threads
    ${CMAKE_DL_LIBS})
# The macro that begins a module defines functions without a prototype.
set_source_files_properties(bindings/node/addon.c PROPERTIES COMPILE_OPTIONS -Wno-missing-prototypes)
set_target_properties(carom_node PROPERTIES PREFIX "" OUTPUT_NAME carom SUFFIX .node
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
# Node has an OpenSSL of its own, whose symbols can be seen: ours is brought along, hidden.
if(CAROM_TLS)
    find_library(CAROM_STATIC_SSL libssl.a REQUIRED NO_CACHE)
    find_library(CAROM_STATIC_CRYPTO libcrypto.a REQUIRED NO_CACHE)
    target_link_libraries(carom_node PRIVATE ${CAROM_STATIC_SSL} ${CAROM_STATIC_CRYPTO})
endif()
if(CAROM_DEFLATE) # as Node has a zlib of its own
    find_library(CAROM_STATIC_ZLIB libz.a REQUIRED NO_CACHE)
    target_link_libraries(carom_node PRIVATE ${CAROM_STATIC_ZLIB})
endif()
if(CAROM_HAS_ISAL) # Debian has no archive of it; tools/packages makes one
    find_library(CAROM_ISAL_LIBRARY NAMES libisal.a isal REQUIRED NO_CACHE)
    target_link_libraries(carom_node PRIVATE ${CAROM_ISAL_LIBRARY})
endif()
set(CAROM_NODE_MAP ${CMAKE_CURRENT_SOURCE_DIR}/cmake/node.map)
# It stays when the last worker that loaded it ends: threads that end later call what it left with them.
target_link_options(carom_node PRIVATE -Wl,--version-script=${CAROM_NODE_MAP} -Wl,-Bsymbolic -Wl,-z,nodelete)
set_target_properties(carom_node PROPERTIES LINK_DEPENDS ${CAROM_NODE_MAP})
if(CAROM_HTTP2)
    add_dependencies(carom_node carom_nghttp2)
endif()
