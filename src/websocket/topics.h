/* Topics: which sockets of a worker are subscribed to which names, and messages to all of them. A
 * worker's table is its own; another thread looks at it with the lock, and it is changed with the
 * lock. */
#ifndef CAROM_WEBSOCKET_TOPICS_H
#define CAROM_WEBSOCKET_TOPICS_H

#include <pthread.h>

#include "base/list.h"
#include "base/pool.h"
#include "carom_websocket.h"

#define CAROM_TOPIC_NAME_MOST 255

struct carom_topic {
    struct carom_topic *next; /* in its bucket */
    struct carom_node subscriptions;
    uint32_t hash;
    uint32_t count; /* of subscriptions */
    uint8_t length;
    char name[];
};

/* A socket's to a topic. */
struct carom_topic_subscription {
    struct carom_node node; /* of topic->subscriptions */
    struct carom_topic *topic;
    carom_websocket *socket;
    struct carom_topic_subscription *next; /* of the socket */
};

struct carom_topics {
    struct carom_topic **buckets; /* NULL: nobody has ever subscribed */
    uint32_t bucket_count;        /* a power of two */
    uint32_t count;
    pthread_mutex_t lock;
    struct carom_pool subscriptions;
};

void carom_topics_init(struct carom_topics *topics);
/* Nobody may be subscribed. */
void carom_topics_finish(struct carom_topics *topics);
/* The topic of a name; NULL: nobody is subscribed. On the worker's thread. */
struct carom_topic *carom_topics_find(const struct carom_topics *topics, carom_slice name);
/* How many are subscribed. Any thread. */
uint32_t carom_topics_count(struct carom_topics *topics, carom_slice name);

/* Subscriptions of a socket are a list that begins at `*mine`. Join: 0, also when it is there
 * already, or -CAROM_ENOMEM. */
int carom_topics_join(struct carom_topics *topics, struct carom_topic_subscription **mine,
                      carom_websocket *socket, carom_slice name);
/* Whether it was there. */
bool carom_topics_leave(struct carom_topics *topics, struct carom_topic_subscription **mine,
                        carom_slice name);
void carom_topics_leave_all(struct carom_topics *topics, struct carom_topic_subscription **mine);
bool carom_topics_have(struct carom_topic_subscription *const *mine, carom_slice name);

#endif
