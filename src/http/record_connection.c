/* What a handler can learn of its record's connection, and the time limits that it can set for one
 * record. */
#include <string.h>

#include "http/core.h"

void carom_record_peer(const carom_record *record, carom_address *address)
{
    if (address == NULL)
        return;
    *address = (carom_address){.family = CAROM_FAMILY_NONE};
    if (!carom_record_tells(record, __func__))
        return;
    carom_endpoint_describe(&record->ops->core(record)->peer, address);
}

void carom_record_local(const carom_record *record, carom_address *address)
{
    if (address == NULL)
        return;
    *address = (carom_address){.family = CAROM_FAMILY_NONE};
    if (!carom_record_tells(record, __func__))
        return;
    const struct carom_core *core = record->ops->core(record);
    carom_core_carrier(core)->local(core, address);
}

void *carom_connection_state(const carom_record *record)
{
    if (!carom_record_tells(record, __func__))
        return NULL;
    struct carom_core *core = record->ops->core(record);
    size_t size = core->connections->options->connection_state;
    if (size == 0)
        return NULL;
    if (!core->has_state)
        memset(carom_core_state(core), 0, size);
    core->has_state = true;
    return carom_core_state(core);
}

int carom_connection_descriptor(const carom_record *record)
{
    int error = carom_record_check(record, __func__);
    if (error < 0)
        return error;
    const struct carom_core *core = record->ops->core(record);
    int fd =
        core->state == CAROM_CONNECTION_CLOSED ? -1 : carom_core_carrier(core)->descriptor(core);
    return fd < 0 ? -CAROM_ENOENT : fd;
}

int carom_set_handler_timeout(carom_record *record, uint32_t milliseconds)
{
    int error = carom_record_check(record, __func__);
    if (error < 0)
        return error;
    struct carom_records *records = record->records;
    if (carom_record_over(record))
        return -CAROM_ECANCELED;
    if (record->response != CAROM_RESPONSE_OPEN)
        return -CAROM_ESTATE;
    if (milliseconds == CAROM_OFF)
        carom_timer_disarm(&records->wheel, &record->deadline);
    else
        carom_timer_arm(&records->wheel, &record->deadline,
                        carom_records_now(records) + milliseconds + 1);
    carom_records_work(records);
    return 0;
}

void carom_set_content_rate(carom_record *record, uint32_t rate)
{
    if (carom_record_check(record, __func__) == 0)
        record->content_rate = rate;
}
