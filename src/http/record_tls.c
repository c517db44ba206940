/* What a handler can learn of the TLS on its record's connection. */
#include "http/record_tls.h"

#include "http/core.h"
#include "tls/tls_session.h"

int carom_tls_of_record(const carom_record *record, carom_tls_info *info, carom_slice *der)
{
    struct carom_tls_session *session = carom_core_tls(record->ops->core(record));
    if (session == NULL)
        return -CAROM_ENOENT;
    if (info != NULL)
        carom_tls_describe(session, info);
    if (der != NULL)
        *der = carom_tls_peer_certificate(session);
    return 0;
}

int carom_record_tls(const carom_record *record, carom_tls_info *info)
{
    int error = carom_record_check(record, __func__);
    if (info == NULL)
        return -CAROM_EINVAL;
    *info = (carom_tls_info){0};
    return error < 0 ? error : carom_tls_of_record(record, info, NULL);
}

int carom_record_tls_certificate(const carom_record *record, carom_slice *der)
{
    int error = carom_record_check(record, __func__);
    if (der == NULL)
        return -CAROM_EINVAL;
    *der = (carom_slice){NULL, 0};
    if (error < 0)
        return error;
    carom_tls_of_record(record, NULL, der);
    return der->length > 0 ? 0 : -CAROM_ENOENT;
}
