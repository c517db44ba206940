/* HTTP/2, dispatch: which requests whose heads are complete are given to the handler now, and which
 * wait. */
#include "http/admission.h"
#include "http/h2.h"

static struct carom_connections *connections_of(const struct carom_h2 *h2)
{
    return carom_connections_of(h2->connection);
}

/* Whether the next one is: the first always; others while whoever answers has heard of those
 * before, or when they have waited for that in turn, and while their answers leave room for
 * others'. */
static bool goes_on(struct carom_h2 *h2)
{
    struct carom_connections *connections = connections_of(h2);
    bool turn = h2->owed.turn;
    h2->owed.turn = false;
    if (h2->fresh_count == h2->in_flight)
        return true;
    bool others = !turn && !carom_node_alone(&connections->crowded);
    if (carom_owed_waits(connections, &h2->owed) || others) {
        CAROM_MARK("a stream waits for those before it to be heard of");
        if (carom_node_alone(&h2->owed.waiting))
            carom_list_append(&connections->crowded, &h2->owed.waiting);
        return false;
    }
    return carom_owed_leaves_room(connections, &h2->owed, &h2->exchanges);
}

void carom_h2_dispatch(struct carom_h2 *h2)
{
    while (h2->fresh_count > 0 && goes_on(h2)) {
        struct carom_h2_stream *stream =
            carom_container(h2->fresh.next, struct carom_h2_stream, link);
        carom_h2_stream_unlist(h2, stream);
        carom_admission_dispatch(connections_of(h2), stream->record);
    }
}
