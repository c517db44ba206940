/* Stands in for all of src/tls in a build without TLS (CAROM_TLS=OFF): nobody can make a session.
 */
#include "base/assert.h"
#include "tls/tls.h"
#include "tls/tls_session.h"

int carom_tls_create(struct carom_tls **made, const carom_tls_options *options,
                     const struct carom_log_sink *log, bool http2)
{
    (void)made;
    (void)options;
    (void)log;
    (void)http2;
    return -CAROM_EUNSUPPORTED;
}

int carom_tls_self_signed(carom_tls_certificate *made, const char *names)
{
    if (made == NULL)
        return -CAROM_EINVAL;
    *made = (carom_tls_certificate){0};
    return names == NULL ? -CAROM_EINVAL : -CAROM_EUNSUPPORTED;
}

void carom_tls_certificate_free(carom_tls_certificate *made)
{
    (void)made;
}

int carom_tls_session_init(struct carom_tls_session *session, struct carom_tls *tls,
                           struct carom_pool *segments, struct carom_arena *outgoing)
{
    (void)session;
    (void)tls;
    (void)segments;
    (void)outgoing;
    return -CAROM_EUNSUPPORTED;
}

/* What cannot be called, for there is nothing to call it with. */
#define NEVER(result, function, ...)                                                               \
    result function(__VA_ARGS__)                                                                   \
    {                                                                                              \
        carom_assert(false);                                                                       \
        __builtin_unreachable();                                                                   \
    }

/* NOLINTBEGIN(misc-unused-parameters): nothing uses them, by intent */
#pragma GCC diagnostic ignored "-Wunused-parameter"
NEVER(void, carom_tls_destroy, struct carom_tls *tls)
NEVER(int, carom_tls_load, struct carom_tls *tls)
NEVER(int, carom_tls_replace_options, struct carom_tls *tls, const carom_tls_options *options)
NEVER(bool, carom_tls_changed, struct carom_tls *tls)
NEVER(uint32_t, carom_tls_watch_time, const struct carom_tls *tls)
NEVER(int, carom_tls_replace_keys, struct carom_tls *tls, carom_slice keys)
NEVER(void, carom_tls_session_finish, struct carom_tls_session *session)
NEVER(int, carom_tls_handshake, struct carom_tls_session *session)
NEVER(bool, carom_tls_has_input, const struct carom_tls_session *session)
NEVER(int64_t, carom_tls_read, struct carom_tls_session *session, uint8_t *to, size_t room)
NEVER(int, carom_tls_write, struct carom_tls_session *session, const uint8_t *data, size_t length)
NEVER(void, carom_tls_close_notify, struct carom_tls_session *session)
NEVER(carom_slice, carom_tls_alpn, const struct carom_tls_session *session)
NEVER(bool, carom_tls_resumed, const struct carom_tls_session *session)
NEVER(void, carom_tls_describe, const struct carom_tls_session *session, carom_tls_info *info)
NEVER(carom_slice, carom_tls_peer_certificate, struct carom_tls_session *session)
/* NOLINTEND(misc-unused-parameters) */
