/* Admission: compares requests with their limits, refuses those beyond, and calls the handler with
 * the others. */
#include "http/admission.h"

bool carom_admission_count(struct carom_core *core)
{
    struct carom_connections *connections = core->connections;
    connections->requests++;
    return ++core->requests >= connections->options->max_connection_requests;
}

carom_reason carom_admission_reason(unsigned status)
{
    bool limit = status == 413 || status == 414 || status == 431 || status == 503;
    return limit ? CAROM_REASON_OVER_LIMIT : CAROM_REASON_BAD_REQUEST;
}

void carom_admission_refuse(carom_record *record, unsigned status, carom_reason reason)
{
    if (record->response == CAROM_RESPONSE_OPEN && record->refused == 0)
        carom_record_refuse(record, reason, (uint16_t)status);
    else if (record->response == CAROM_RESPONSE_BEGUN)
        carom_record_cancel(record, reason);
    if (record->request < CAROM_REQUEST_WHOLE)
        carom_record_content_dropped(record);
}

void carom_admission_offer(struct carom_connections *connections, carom_record *record,
                           struct carom_page *page, const uint8_t *data, uint32_t length,
                           unsigned status, carom_reason reason)
{
    if (carom_likely(connections->observer == NULL) || connections->records.draining) {
        carom_admission_refuse(record, status, reason);
        return;
    }
    struct carom_request_head *head = &record->head;
    head->method = head->protocol = (struct carom_span){0, 0};
    head->target = (struct carom_span){0, length};
    head->version = 11;
    head->framing = CAROM_FRAMING_NONE;
    head->is_head = head->is_connect = head->keep_alive = false;
    head->expects_continue = head->wants_upgrade = false;
    head->fields.count = 0;
    head->fields.base = data;
    head->fields.page = page == NULL ? NULL : carom_page_hold(page);
    record->refusal = (uint16_t)status;
    record->refusal_reason = (uint8_t)reason;
    carom_record_content_dropped(record);
    carom_admission_dispatch(connections, record);
}

void carom_admission_dispatch(struct carom_connections *connections, carom_record *record)
{
    const carom_options *options = connections->options;
    struct carom_records *records = &connections->records;
    carom_record_hand_over(record);
    if (options->handler_timeout != CAROM_OFF)
        carom_timer_arm(&records->wheel, &record->deadline,
                        records->now + options->handler_timeout + 1);
    options->handler(record, options->handler_data);
}
