/* Publishing. A message is framed, and compressed, once in a worker, into a page that all its
 * subscribers' queues share. To other workers it goes as a post, which comes back to the worker
 * that made it, because its memory is that worker's. */
#include "websocket/publish.h"

#include <string.h>

#include "record/waker.h"
#include "websocket/websocket.h"

/* A message on its way to other workers: its bytes and its topic's name. */
struct carom_publication {
    struct carom_websockets *owner;
    uint32_t posts; /* that have not come back */
    uint8_t kind;   /* carom_websocket_kind, PLAIN with it */
    uint8_t name_length;
    char name[CAROM_TOPIC_NAME_MOST];
    uint8_t *bytes; /* of the owner's bins */
    size_t length;
};

/* The same, on its way to one worker and back. */
struct carom_publication_post {
    carom_waker waker;
    struct carom_publication *publication;
    struct carom_websockets *target;
};

void carom_publications_init(struct carom_websockets *websockets)
{
    carom_pool_init(&websockets->publications, sizeof(struct carom_publication), 0);
    carom_pool_init(&websockets->posts, sizeof(struct carom_publication_post), 0);
}

/* ---------------------------------------------------------------- on one worker */

/* A frame in a page that is held; NULL: it has not been made. */
struct frame {
    struct carom_page *page;
    const uint8_t *at;
    size_t size;
};

static bool make_frame(struct carom_websockets *websockets, struct frame *frame, uint8_t kind,
                       bool compressed, const void *data, size_t length)
{
    frame->page = carom_arena_hold(&websockets->published, CAROM_WS_HEAD_BYTES + length);
    if (frame->page == NULL)
        return false;
    uint8_t *to = frame->page->data + frame->page->used;
    size_t head = carom_ws_head_write(to, carom_ws_opcode_of(kind), true, compressed, length);
    if (length > 0)
        memcpy(to + head, data, length);
    frame->at = to;
    frame->size = head + length;
    frame->page->used += (uint32_t)frame->size;
    return true;
}

static void drop_frame(const struct frame *frame)
{
    if (frame->page != NULL)
        carom_page_drop(frame->page);
}

/* What goes to the subscribers of one worker: as it is, and compressed by itself, each made when
 * the first of them wants it. */
struct delivery {
    struct carom_websockets *websockets;
    uint8_t kind;
    const carom_content *content;
    struct frame plain, deflated;
    size_t saved;                             /* by the second, for each who gets it */
    const struct carom_ws_settings *settings; /* of those that are sent `deflated` */
    bool is_longer;                           /* there is no such, because it would be */
};

/* A window that every client has which compresses at all with these settings. */
static uint8_t common_bits(const struct carom_ws_settings *settings)
{
    return settings->options.deflate_window;
}

/* NULL: it is better sent as it is. */
static const struct frame *deflated(struct delivery *delivery, struct carom_ws_settings *settings)
{
    const carom_content *content = delivery->content;
    carom_slice shorter;
    if (delivery->settings != NULL || delivery->is_longer)
        return delivery->settings == settings ? &delivery->deflated : NULL;
    delivery->websockets->deflates = true;
    delivery->is_longer = !carom_ws_deflate_alone(&settings->deflaters, common_bits(settings),
                                                  content->data, content->length, &shorter) ||
                          !make_frame(delivery->websockets, &delivery->deflated, delivery->kind,
                                      true, shorter.data, shorter.length);
    if (delivery->is_longer)
        return NULL;
    delivery->settings = settings;
    delivery->saved = content->length - shorter.length;
    return &delivery->deflated;
}

static const struct frame *plain(struct delivery *delivery)
{
    if (delivery->plain.page == NULL &&
        !make_frame(delivery->websockets, &delivery->plain, delivery->kind, false,
                    delivery->content->data, delivery->content->length))
        return NULL;
    return &delivery->plain;
}

/* 0 or -CAROM_ENOMEM; who is over its limit, or not open, does not get it. */
static int deliver_to(struct delivery *delivery, carom_websocket *socket)
{
    struct carom_ws_settings *settings = socket->settings;
    const struct frame *frame = NULL;
    if (!carom_ws_takes(socket, delivery->content->length))
        return 0;
    if (carom_ws_deflates(socket) && !(delivery->kind & CAROM_WEBSOCKET_PLAIN) &&
        socket->deflate->agreed.server_bits >= common_bits(settings))
        frame = deflated(delivery, settings);
    if (frame != NULL) {
        delivery->websockets->bytes_saved += delivery->saved;
        carom_ws_deflate_forget(socket->deflate, &settings->deflaters);
    } else {
        frame = plain(delivery);
    }
    if (frame == NULL)
        return -CAROM_ENOMEM;
    return carom_ws_send_framed(socket, frame->page, frame->at, frame->size,
                                delivery->content->length);
}

static int deliver(struct carom_websockets *websockets, carom_slice name, uint8_t kind,
                   const carom_content *content, const carom_websocket *except)
{
    struct carom_topic *topic = carom_topics_find(&websockets->topics, name);
    if (topic == NULL)
        return 0;
    struct delivery delivery = {.websockets = websockets, .kind = kind, .content = content};
    int error = 0;
    /* Nobody of the program is called meanwhile, and no socket ends: the list stays as it is. */
    struct carom_node *node = topic->subscriptions.next;
    for (; node != &topic->subscriptions; node = node->next) {
        carom_websocket *socket =
            carom_container(node, struct carom_topic_subscription, node)->socket;
        if (socket != except && deliver_to(&delivery, socket) < 0)
            error = -CAROM_ENOMEM;
    }
    drop_frame(&delivery.plain);
    drop_frame(&delivery.deflated);
    return error;
}

/* ---------------------------------------------------------------- to the others */

static void give_publication(struct carom_publication *publication)
{
    struct carom_websockets *owner = publication->owner;
    if (publication->posts > 0)
        return;
    if (publication->bytes != NULL)
        carom_bins_give(&owner->bins, publication->bytes);
    carom_pool_give(&owner->publications, publication);
}

/* On the owner's thread: the post is back. */
static void came_back(carom_waker *waker, int status)
{
    struct carom_publication_post *post =
        carom_container(waker, struct carom_publication_post, waker);
    struct carom_publication *publication = post->publication;
    struct carom_websockets *owner = publication->owner;
    (void)status;
    owner->posts_out--;
    publication->posts--;
    carom_pool_give(&owner->posts, post);
    give_publication(publication);
}

/* On the target's thread. The owner takes turns until all its posts are back. */
static void arrived(carom_waker *waker, int status)
{
    struct carom_publication_post *post =
        carom_container(waker, struct carom_publication_post, waker);
    const struct carom_publication *publication = post->publication;
    const carom_slice name = {publication->name, publication->name_length};
    const carom_content content = {publication->bytes, publication->length, NULL, NULL};
    if (status == 0)
        (void)deliver(post->target, name, publication->kind, &content, NULL);
    post->waker.wake = came_back;
    int error = carom_waker_post(carom_websockets_records(publication->owner), &post->waker);
    carom_assert(error == 0);
}

static int post_to(struct carom_publication *publication, struct carom_websockets *target)
{
    struct carom_websockets *owner = publication->owner;
    struct carom_publication_post *post = carom_pool_take(&owner->posts);
    if (post == NULL)
        return -CAROM_ENOMEM;
    *post = (struct carom_publication_post){
        .waker = {.wake = arrived}, .publication = publication, .target = target};
    if (carom_waker_post(carom_websockets_records(target), &post->waker) < 0) {
        carom_pool_give(&owner->posts, post); /* it has stopped, and has no sockets */
        return 0;
    }
    publication->posts++;
    owner->posts_out++;
    return 0;
}

static struct carom_publication *make_publication(struct carom_websockets *owner, carom_slice name,
                                                  uint8_t kind, const carom_content *content)
{
    struct carom_publication *publication = carom_pool_take(&owner->publications);
    if (publication == NULL)
        return NULL;
    publication->owner = owner;
    publication->posts = 0;
    publication->kind = kind;
    publication->name_length = (uint8_t)name.length;
    memcpy(publication->name, name.data, name.length);
    publication->length = content->length;
    publication->bytes = NULL;
    if (content->length > 0) {
        publication->bytes = carom_bins_take(&owner->bins, content->length);
        if (publication->bytes == NULL) {
            carom_pool_give(&owner->publications, publication);
            return NULL;
        }
        memcpy(publication->bytes, content->data, content->length);
    }
    return publication;
}

static int post_to_others(struct carom_websockets *owner, carom_slice name, uint8_t kind,
                          const carom_content *content)
{
    if (owner->next == owner)
        return 0;
    owner->connections->look_at_all_pools = true;
    struct carom_publication *publication = make_publication(owner, name, kind, content);
    if (publication == NULL)
        return -CAROM_ENOMEM;
    int error = 0;
    for (struct carom_websockets *other = owner->next; other != owner; other = other->next)
        if (post_to(publication, other) < 0)
            error = -CAROM_ENOMEM;
    give_publication(publication);
    return error;
}

int carom_publish_from(struct carom_websockets *websockets, carom_slice topic,
                       carom_websocket_kind kind, const carom_content *content,
                       const carom_websocket *except)
{
    bool valid = content != NULL && (content->data != NULL || content->length == 0) &&
                 carom_ws_kind_is_known(kind) && topic.data != NULL &&
                 topic.length <= CAROM_TOPIC_NAME_MOST;
    int error = valid ? 0 : -CAROM_EINVAL;
    if (valid) {
        int here = deliver(websockets, topic, (uint8_t)kind, content, except);
        error = post_to_others(websockets, topic, (uint8_t)kind, content);
        error = here < 0 ? here : error;
    }
    if (content != NULL && content->give_back != NULL)
        content->give_back(content->owner);
    return error;
}

int carom_websocket_publish(carom_websocket *socket, carom_slice topic, carom_websocket_kind kind,
                            const carom_content *content)
{
    int error = carom_ws_check(socket, __func__);
    if (error < 0) {
        if (content != NULL && content->give_back != NULL)
            content->give_back(content->owner);
        return error;
    }
    return carom_publish_from(carom_ws_shared(socket), topic, kind, content, socket);
}
