/* Descriptors of the program, inside: what a worker that stops does with them. */
#ifndef CAROM_SERVICE_WATCH_H
#define CAROM_SERVICE_WATCH_H

struct carom_worker;

/* All that are watched on this worker fire, as if cancelled. */
void carom_watches_cancel(struct carom_worker *worker);

#endif
