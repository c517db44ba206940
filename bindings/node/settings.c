/* The settings of a server by their names, which js/src/engine/options.js has checked. */
#include "values.h"

#include <stddef.h>
#include <string.h>

enum kind { WORD, LONG, BOOL };

static const struct {
    const char *name;
    size_t offset;
    enum kind kind;
} settings[] = {
#define SETTING(name, member, kind)                                                                \
    {                                                                                              \
        name, offsetof(carom_options, member), kind                                                \
    }
    SETTING("backlog", backlog, WORD),
    SETTING("poolFloor", pool_floor, WORD),
    SETTING("maxTarget", max_target, WORD),
    SETTING("maxHeaderSection", max_header_section, WORD),
    SETTING("maxFields", max_fields, WORD),
    SETTING("maxContent", max_content, LONG),
    SETTING("maxConnections", max_connections, WORD),
    SETTING("refuseConnections", refuse_connections, BOOL),
    SETTING("maxInFlight", max_in_flight, WORD),
    SETTING("maxConnectionRequests", max_connection_requests, WORD),
    SETTING("maxPipeline", max_pipeline, WORD),
    SETTING("writeBuffer", write_buffer, WORD),
    SETTING("drainContent", drain_content, WORD),
    SETTING("maxResponseHead", max_response_head, WORD),
    SETTING("headerTimeout", header_timeout, WORD),
    SETTING("firstByteTimeout", first_byte_timeout, WORD),
    SETTING("keepAlive", keep_alive, WORD),
    SETTING("keepAliveGrace", keep_alive_grace, WORD),
    SETTING("contentRate", content_rate, WORD),
    SETTING("contentWindow", content_window, WORD),
    SETTING("writeTimeout", write_timeout, WORD),
    SETTING("handlerTimeout", handler_timeout, WORD),
    SETTING("lingerTimeout", linger_timeout, WORD),
    SETTING("halfClose", half_close, BOOL),
    SETTING("hostOptional", host_optional, BOOL),
    SETTING("reusePort", reuse_port, BOOL),
    SETTING("handshakeTimeout", handshake_timeout, WORD),
    SETTING("maxHandshakes", max_handshakes, WORD),
    SETTING("noHttp2", no_http2, BOOL),
    SETTING("h2MaxStreams", h2_max_streams, WORD),
    SETTING("h2StreamWindow", h2_stream_window, WORD),
    SETTING("h2StreamWindowMax", h2_stream_window_max, WORD),
    SETTING("h2ConnectionWindow", h2_connection_window, WORD),
    SETTING("h2ConnectionWindowMax", h2_connection_window_max, WORD),
    SETTING("h2MaxResets", h2_max_resets, WORD),
    SETTING("h2MaxControlFrames", h2_max_control_frames, WORD),
    SETTING("h2PingInterval", h2_ping_interval, WORD),
    SETTING("maxUnsent", max_unsent, LONG),
    SETTING("h2ConnectProtocol", h2_connect_protocol, BOOL),
#undef SETTING
};

void settings_read(napi_env env, napi_value object, carom_options *options)
{
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        napi_value value;
        double given;
        char *member = (char *)options + settings[i].offset;
        napi_get_named_property(env, object, settings[i].name, &value);
        if (napi_get_value_double(env, value, &given) != napi_ok)
            continue;
        uint32_t word = given < 0 ? CAROM_OFF : (uint32_t)given;
        uint64_t longer = given < 0 ? UINT64_MAX : (uint64_t)given;
        if (settings[i].kind == WORD)
            memcpy(member, &word, sizeof word);
        else if (settings[i].kind == LONG)
            memcpy(member, &longer, sizeof longer);
        else
            *(bool *)(void *)member = given != 0;
    }
}
