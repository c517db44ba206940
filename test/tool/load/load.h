/* The load driver of the system tests: one client connection, and what its files share. */
#ifndef CAROM_TEST_LOAD_H
#define CAROM_TEST_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEPTH_MAX 64
#define HEAD_MAX  1024
#define OUT_MAX   (64 * 1024)

/* What the driver can ask for. */
enum kind { HELLO, LATER, THREAD, STREAM, COUNT, ECHO, IN_FILE, KINDS };

struct expected {
    enum kind kind;
    uint64_t length; /* of the content */
    char text[48];   /* the content; empty: the pattern 'a' + o % 26 */
};

enum reading { READ_HEAD, READ_LENGTH, READ_CHUNK_LINE, READ_CHUNK, READ_CHUNK_END, READ_LAST };

/* Checks the bytes of responses, one at a time and in order. */
struct checker {
    enum reading state;
    uint32_t head_length; /* of `head`: the head or a chunk line so far */
    uint64_t left, offset;
    uint64_t done; /* responses that were complete and right */
    char head[HEAD_MAX];
};

struct client {
    int fd; /* -1: not connected */
    bool writing, connecting;
    uint32_t first, waiting;         /* in `expected` */
    uint64_t sent, received;         /* on this connection */
    uint64_t cut_sent, cut_received; /* leave when so many bytes were sent or received */
    bool by_reset;
    uint32_t out_length, out_sent;
    struct checker checker;
    struct expected expected[DEPTH_MAX];
    char out[OUT_MAX];
};

/* check.c: NULL, or what is wrong. Takes `length` bytes for the client's expected responses. */
const char *check_bytes(struct client *client, const char *data, size_t length);
void check_reset(struct checker *checker);

#endif
