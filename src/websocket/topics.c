/* The table of topics of a worker, and who is subscribed; subscribe.c has the public calls,
 * publish.c sends. */
#include "websocket/topics.h"

#include <stddef.h>
#include <string.h>

#include "base/memory.h"

#define BUCKETS_AT_FIRST 64

/* FNV-1a. Names are the program's; a client that chooses them chooses among the program's words. */
static uint32_t hash_of(carom_slice name)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < name.length; i++)
        hash = (hash ^ (uint8_t)name.data[i]) * 16777619u;
    return hash ^ hash >> 15;
}

static size_t size_of(const struct carom_topic *topic)
{
    return sizeof *topic + topic->length;
}

void carom_topics_init(struct carom_topics *topics)
{
    *topics = (struct carom_topics){0};
    pthread_mutex_init(&topics->lock, NULL);
    carom_pool_init(&topics->subscriptions, sizeof(struct carom_topic_subscription), 0);
}

void carom_topics_finish(struct carom_topics *topics)
{
    carom_assert(topics->count == 0);
    if (topics->buckets != NULL)
        carom_memory_give(topics->buckets, topics->bucket_count * sizeof *topics->buckets);
    carom_pool_finish(&topics->subscriptions);
    pthread_mutex_destroy(&topics->lock);
}

static struct carom_topic *find(const struct carom_topics *topics, carom_slice name, uint32_t hash)
{
    if (topics->buckets == NULL)
        return NULL;
    struct carom_topic *topic = topics->buckets[hash & (topics->bucket_count - 1)];
    while (topic != NULL && !(topic->hash == hash && topic->length == name.length &&
                              memcmp(topic->name, name.data, name.length) == 0))
        topic = topic->next;
    return topic;
}

struct carom_topic *carom_topics_find(const struct carom_topics *topics, carom_slice name)
{
    return find(topics, name, hash_of(name));
}

uint32_t carom_topics_count(struct carom_topics *topics, carom_slice name)
{
    pthread_mutex_lock(&topics->lock);
    const struct carom_topic *topic = carom_topics_find(topics, name);
    uint32_t count = topic == NULL ? 0 : topic->count;
    pthread_mutex_unlock(&topics->lock);
    return count;
}

/* ---------------------------------------------------------------- the table; with the lock */

/* Twice as many buckets as before. Without memory the chains are longer. */
static void grow(struct carom_topics *topics)
{
    uint32_t count = topics->bucket_count == 0 ? BUCKETS_AT_FIRST : topics->bucket_count * 2;
    struct carom_topic **buckets = carom_memory_take_zeroed(count * sizeof *buckets);
    if (buckets == NULL)
        return;
    for (uint32_t i = 0; i < topics->bucket_count; i++) {
        struct carom_topic *topic = topics->buckets[i];
        while (topic != NULL) {
            struct carom_topic *next = topic->next;
            topic->next = buckets[topic->hash & (count - 1)];
            buckets[topic->hash & (count - 1)] = topic;
            topic = next;
        }
    }
    if (topics->buckets != NULL)
        carom_memory_give(topics->buckets, topics->bucket_count * sizeof *topics->buckets);
    topics->buckets = buckets;
    topics->bucket_count = count;
}

static struct carom_topic *add(struct carom_topics *topics, carom_slice name, uint32_t hash)
{
    if (topics->count >= topics->bucket_count)
        grow(topics);
    if (topics->buckets == NULL)
        return NULL;
    struct carom_topic *topic = carom_memory_take(sizeof *topic + name.length);
    if (topic == NULL)
        return NULL;
    struct carom_topic **bucket = &topics->buckets[hash & (topics->bucket_count - 1)];
    topic->next = *bucket;
    topic->hash = hash;
    topic->count = 0;
    topic->length = (uint8_t)name.length;
    memcpy(topic->name, name.data, name.length);
    carom_node_init(&topic->subscriptions);
    *bucket = topic;
    topics->count++;
    return topic;
}

static void remove_if_empty(struct carom_topics *topics, struct carom_topic *topic)
{
    if (topic->count > 0)
        return;
    struct carom_topic **at = &topics->buckets[topic->hash & (topics->bucket_count - 1)];
    while (*at != topic)
        at = &(*at)->next;
    *at = topic->next;
    topics->count--;
    carom_memory_give(topic, size_of(topic));
}

static int join(struct carom_topics *topics, struct carom_topic_subscription **mine,
                carom_websocket *socket, carom_slice name)
{
    uint32_t hash = hash_of(name);
    struct carom_topic *topic = find(topics, name, hash);
    if (topic == NULL)
        topic = add(topics, name, hash);
    if (topic == NULL)
        return -CAROM_ENOMEM;
    struct carom_topic_subscription *subscription = carom_pool_take(&topics->subscriptions);
    if (subscription == NULL) {
        remove_if_empty(topics, topic);
        return -CAROM_ENOMEM;
    }
    subscription->topic = topic;
    subscription->socket = socket;
    subscription->next = *mine;
    *mine = subscription;
    carom_list_append(&topic->subscriptions, &subscription->node);
    topic->count++;
    return 0;
}

static void leave(struct carom_topics *topics, struct carom_topic_subscription *subscription)
{
    struct carom_topic *topic = subscription->topic;
    carom_node_remove(&subscription->node);
    topic->count--;
    remove_if_empty(topics, topic);
    carom_pool_give(&topics->subscriptions, subscription);
}

/* ---------------------------------------------------------------- of a socket */

/* The place that points to the subscription of a name, or to the end. */
static struct carom_topic_subscription *const *
place_of(struct carom_topic_subscription *const *mine, carom_slice name)
{
    while (*mine != NULL && !((*mine)->topic->length == name.length &&
                              memcmp((*mine)->topic->name, name.data, name.length) == 0))
        mine = &(*mine)->next;
    return mine;
}

bool carom_topics_have(struct carom_topic_subscription *const *mine, carom_slice name)
{
    return *place_of(mine, name) != NULL;
}

int carom_topics_join(struct carom_topics *topics, struct carom_topic_subscription **mine,
                      carom_websocket *socket, carom_slice name)
{
    if (carom_topics_have(mine, name))
        return 0;
    pthread_mutex_lock(&topics->lock);
    int error = join(topics, mine, socket, name);
    pthread_mutex_unlock(&topics->lock);
    return error;
}

bool carom_topics_leave(struct carom_topics *topics, struct carom_topic_subscription **mine,
                        carom_slice name)
{
    struct carom_topic_subscription **at =
        (struct carom_topic_subscription **)(uintptr_t)place_of(mine, name);
    struct carom_topic_subscription *subscription = *at;
    if (subscription == NULL)
        return false;
    *at = subscription->next;
    pthread_mutex_lock(&topics->lock);
    leave(topics, subscription);
    pthread_mutex_unlock(&topics->lock);
    return true;
}

void carom_topics_leave_all(struct carom_topics *topics, struct carom_topic_subscription **mine)
{
    if (*mine == NULL)
        return;
    pthread_mutex_lock(&topics->lock);
    while (*mine != NULL) {
        struct carom_topic_subscription *subscription = *mine;
        *mine = subscription->next;
        leave(topics, subscription);
    }
    pthread_mutex_unlock(&topics->lock);
}
