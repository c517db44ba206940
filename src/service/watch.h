/* The descriptors that the program has the engine watch: what becomes of them when a worker stops.
 */
#ifndef CAROM_SERVICE_WATCH_H
#define CAROM_SERVICE_WATCH_H

struct carom_worker;

/* Stop watching all descriptors of this worker: each fires, as if cancelled. */
void carom_watches_cancel(struct carom_worker *worker);

#endif
