/* Checks responses byte by byte: a head must equal the first head of its kind but for the date, the
 * framing must be exact, and the content must be what was asked for. */
#include <stdlib.h>
#include <string.h>

#include "tool/load/load.h"

/* The first head of each kind, its date blanked. */
static char heads[KINDS][HEAD_MAX];

void check_reset(struct checker *checker)
{
    checker->state = READ_HEAD;
    checker->head_length = 0;
}

/* Blank "Sun, 06 Nov 1994 08:49:37 GMT"; false when there is no such date. */
static bool blank_date(char *head)
{
    static const char shape[] = "aaa, 00 aaa 0000 00:00:00 GMT\r\n";
    char *date = strstr(head, "\r\nDate: ");
    if (date == NULL)
        return false;
    date += 8;
    for (size_t i = 0; shape[i] != '\0'; i++) {
        bool digit = date[i] >= '0' && date[i] <= '9';
        bool letter = (date[i] >= 'A' && date[i] <= 'Z') || (date[i] >= 'a' && date[i] <= 'z');
        if (shape[i] == '0' ? !digit : shape[i] == 'a' ? !letter : date[i] != shape[i])
            return false;
        if (shape[i] == '0' || shape[i] == 'a')
            date[i] = '*';
    }
    return true;
}

static const char *check_head(struct checker *checker, const struct expected *expected)
{
    char *head = checker->head;
    head[checker->head_length] = '\0';
    if (strncmp(head, "HTTP/1.1 200 OK\r\n", 17) != 0)
        return "the status is not 200 OK";
    if (!blank_date(head))
        return "no Date";
    const char *length = strstr(head, "\r\nContent-Length: ");
    bool chunked = strstr(head, "\r\nTransfer-Encoding: chunked\r\n") != NULL;
    if (chunked == (length != NULL))
        return "the framing is not clear";
    if (length != NULL && strtoull(length + 18, NULL, 10) != expected->length)
        return "the wrong Content-Length";
    if (expected->kind != COUNT) { /* whose length varies */
        if (heads[expected->kind][0] == '\0')
            memcpy(heads[expected->kind], head, checker->head_length + 1);
        else if (strcmp(heads[expected->kind], head) != 0)
            return "a head differs from the first of its kind";
    }
    checker->state = chunked ? READ_CHUNK_LINE : READ_LENGTH;
    checker->left = expected->length;
    checker->offset = 0;
    checker->head_length = 0;
    return NULL;
}

static void complete(struct client *client)
{
    check_reset(&client->checker);
    client->checker.done++;
    client->first = (client->first + 1) % DEPTH_MAX;
    client->waiting--;
}

/* One byte of a head, a chunk line, the CRLF behind a chunk, or the end of the last one. */
static const char *check_line(struct client *client, char byte)
{
    struct checker *checker = &client->checker;
    const struct expected *expected = &client->expected[client->first];
    if (checker->head_length == HEAD_MAX - 1)
        return "a head or line is too long";
    checker->head[checker->head_length++] = byte;
    uint32_t length = checker->head_length;
    const char *end = checker->head + length;
    if (checker->state == READ_HEAD) {
        if (length < 4 || memcmp(end - 4, "\r\n\r\n", 4) != 0)
            return NULL;
        const char *wrong = check_head(checker, expected);
        if (wrong == NULL && checker->state == READ_LENGTH && checker->left == 0)
            complete(client);
        return wrong;
    }
    if (checker->state == READ_CHUNK_END || checker->state == READ_LAST) {
        if (byte != "\r\n"[length - 1])
            return "no CRLF behind a chunk";
        if (length < 2)
            return NULL;
        checker->head_length = 0;
        if (checker->state == READ_LAST)
            complete(client);
        else
            checker->state = READ_CHUNK_LINE;
        return NULL;
    }
    if (length < 3 || memcmp(end - 2, "\r\n", 2) != 0)
        return length > 18 ? "a chunk line is too long" : NULL;
    char *stop = NULL;
    checker->left = strtoull(checker->head, &stop, 16);
    if (stop != end - 2)
        return "a chunk line has more than a size";
    checker->head_length = 0;
    checker->state = checker->left > 0 ? READ_CHUNK : READ_LAST;
    if (checker->left == 0 && checker->offset != expected->length)
        return "the content is too short";
    return NULL;
}

static const char *check_content(struct client *client, const char *data, size_t length)
{
    struct checker *checker = &client->checker;
    const struct expected *expected = &client->expected[client->first];
    if (checker->offset + length > expected->length)
        return "the content is too long";
    for (size_t i = 0; i < length; i++) {
        uint64_t offset = checker->offset + i;
        char want = expected->text[0] ? expected->text[offset] : (char)('a' + offset % 26);
        if (data[i] != want)
            return "the content is not what was asked for";
    }
    checker->offset += length;
    checker->left -= length;
    if (checker->left == 0) {
        if (checker->state == READ_LENGTH)
            complete(client);
        else
            checker->state = READ_CHUNK_END;
    }
    return NULL;
}

const char *check_bytes(struct client *client, const char *data, size_t length)
{
    const char *wrong = NULL;
    while (length > 0 && wrong == NULL) {
        struct checker *checker = &client->checker;
        if (client->waiting == 0)
            return "bytes that nobody asked for";
        size_t take = 1;
        if (checker->state == READ_LENGTH || checker->state == READ_CHUNK) {
            take = length < checker->left ? length : (size_t)checker->left;
            wrong = check_content(client, data, take);
        } else {
            wrong = check_line(client, *data);
        }
        data += take;
        length -= take;
    }
    return wrong;
}
