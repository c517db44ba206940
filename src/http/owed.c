/* Answers that clients have yet to take: which connections must wait with further requests because
 * of them, and when these go on. */
#include "http/owed.h"

#include "http/core.h"

/* Answers that may gather for a client of HTTP/1.1 that does not take them, as a multiple of the
 * write buffer. */
#define AHEAD 4

void carom_owed_learn_anew(struct carom_connections *connections, uint64_t bytes)
{
    const carom_options *options = connections->options;
    connections->answers_of_eight += bytes - connections->answers_of_eight / 8;
    uint64_t mean = connections->answers_of_eight / 8;
    uint64_t fit = AHEAD * (uint64_t)options->write_buffer / (mean + 1) + 1;
    connections->requests_ahead =
        fit < options->max_pipeline ? (uint32_t)fit : options->max_pipeline;
}

bool carom_owed_leaves_room(const struct carom_connections *connections,
                            const struct carom_owed *owed, const struct carom_node *exchanges)
{
    uint64_t most = connections->options->max_unsent;
    uint64_t left = connections->owed < most ? most - connections->owed : 0;
    uint64_t largest = 0;
    if (carom_likely(owed->bytes == 0 || owed->bytes < left))
        return true;
    for (const struct carom_node *node = exchanges->next; node != exchanges; node = node->next) {
        uint64_t bytes = carom_container(node, carom_record, link)->owed;
        largest = bytes > largest ? bytes : largest;
    }
    return owed->bytes == largest || owed->bytes - largest < left;
}

void carom_connections_uncrowd(struct carom_connections *connections)
{
    while (!carom_node_alone(&connections->crowded) && !carom_connections_crowded(connections)) {
        struct carom_node *node = carom_list_take(&connections->crowded);
        struct carom_owed *owed = carom_container(node, struct carom_owed, waiting);
        owed->turn = true;
        carom_core_touch(owed->core);
        carom_core_flush(owed->core);
    }
}
