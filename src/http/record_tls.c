/* What a record can tell of the TLS below its connection. */
#include "record/record.h"
#include "tls/tls_session.h"

static struct carom_tls_session *session_of(const carom_record *record)
{
    return record->ops->tls == NULL ? NULL : record->ops->tls(record);
}

int carom_record_tls(const carom_record *record, carom_tls_info *info)
{
    const struct carom_tls_session *session = session_of(record);
    *info = (carom_tls_info){0};
    if (session == NULL)
        return -CAROM_ENOENT;
    carom_tls_describe(session, info);
    return 0;
}

int carom_record_tls_certificate(const carom_record *record, carom_slice *der)
{
    struct carom_tls_session *session = session_of(record);
    *der = (carom_slice){NULL, 0};
    if (session != NULL)
        *der = carom_tls_peer_certificate(session);
    return der->length > 0 ? 0 : -CAROM_ENOENT;
}
