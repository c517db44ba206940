/* Doubly linked intrusive list. A node that is in no list points to itself, so removal is safe
 * always. A list head is a node. */
#ifndef CAROM_BASE_LIST_H
#define CAROM_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct carom_node {
    struct carom_node *next, *previous;
};

static inline void carom_node_init(struct carom_node *node)
{
    node->next = node->previous = node;
}

/* Whether a head has no nodes, or a node is in no list. */
static inline bool carom_node_alone(const struct carom_node *node)
{
    return node->next == node;
}

static inline void carom_list_append(struct carom_node *head, struct carom_node *node)
{
    node->next = head;
    node->previous = head->previous;
    head->previous->next = node;
    head->previous = node;
}

static inline void carom_list_prepend(struct carom_node *head, struct carom_node *node)
{
    carom_list_append(head->next, node);
}

static inline void carom_node_remove(struct carom_node *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
    carom_node_init(node);
}

/* Take a node out of the list that it is in, if any, and put it first into another. */
static inline void carom_list_move(struct carom_node *head, struct carom_node *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
    carom_list_prepend(head, node);
}

/* The same, and put it last. */
static inline void carom_list_move_last(struct carom_node *head, struct carom_node *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
    carom_list_append(head, node);
}

/* Take the first node out; NULL when the list is empty. */
static inline struct carom_node *carom_list_take(struct carom_node *head)
{
    struct carom_node *node = head->next;
    if (node == head)
        return NULL;
    carom_node_remove(node);
    return node;
}

/* Move all nodes of `from` behind those of `to`. */
static inline void carom_list_splice(struct carom_node *to, struct carom_node *from)
{
    if (carom_node_alone(from))
        return;
    from->next->previous = to->previous;
    to->previous->next = from->next;
    from->previous->next = to;
    to->previous = from->previous;
    carom_node_init(from);
}

#endif
