/* HTTP/2 in the scenarios: frames that a client says, written by hand, and what comes back read by
 * hand, so that nothing of nghttp2 judges itself; but for HPACK, which its inflater reads. */
#ifndef CAROM_TEST_UNIT_FAULT_H2_ANSWERS_H
#define CAROM_TEST_UNIT_FAULT_H2_ANSWERS_H

#include <nghttp2/nghttp2.h>
#include <stdlib.h>

#include "unit/base/support.h"

/* The preface, windows of 1 MiB for each stream, and as much more for all. */
#define H2_BEGIN                                                                                   \
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"                                                             \
    "\0\0\6\4\0\0\0\0\0\0\4\0\x10\0\0"                                                             \
    "\0\0\4\x8\0\0\0\0\0\0\x10\0\0"
/* HEADERS on a stream, for targets of so many bytes; the length of all is 10 more. */
#define H2_GET(stream, length, bytes, target)                                                      \
    "\0\0" length "\1\5\0\0\0" stream "\x82\x86\x4" bytes target "\1\1a"
#define H2_POST(stream, length, bytes, target)                                                     \
    "\0\0" length "\1\4\0\0\0" stream "\x83\x86\x4" bytes target "\1\1a"
/* 64 bytes of content, and the end. */
#define H2_DATA(stream, content) "\0\0\x40\0\0\0\0\0" stream content
#define H2_LAST(stream, content) "\0\0\x40\0\1\0\0\0" stream content

/* So many bytes on stream 1. */
#define H2_PIECE(length, flags) "\0\0" length "\0" flags "\0\0\0\1"

#define H2_STREAMS 4

/* What has come on the streams 1, 3, 5 and 7. */
struct h2_answers {
    nghttp2_hd_inflater *inflater;
    struct {
        int status;
        size_t length; /* of content */
        bool ended, reset;
    } streams[H2_STREAMS];
};

static inline uint32_t h2_number(const uint8_t *bytes, int count)
{
    uint32_t number = 0;
    while (count-- > 0)
        number = number << 8 | *bytes++;
    return number;
}

static inline int h2_status(struct h2_answers *answers, const uint8_t *section, size_t length)
{
    int status = 0, flags = 0;
    while (!(flags & NGHTTP2_HD_INFLATE_FINAL)) {
        nghttp2_nv pair;
        ssize_t taken =
            nghttp2_hd_inflate_hd2(answers->inflater, &pair, &flags, section, length, 1);
        assert_true(taken >= 0);
        section += taken;
        length -= (size_t)taken;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) && pair.namelen == 7 &&
            memcmp(pair.name, ":status", 7) == 0)
            status = atoi((const char *)pair.value);
    }
    nghttp2_hd_inflate_end_headers(answers->inflater);
    return status;
}

/* One frame, whole; `content_of` says what the content of an answer must be. */
static inline void h2_take_frame(struct h2_answers *answers, const uint8_t *frame, uint32_t length,
                                 void (*check)(const void *data, int index, size_t at,
                                               const char *bytes, size_t length),
                                 const void *data)
{
    uint32_t stream = h2_number(frame + 5, 4);
    int index = (int)(stream / 2);
    uint8_t type = frame[3], flags = frame[4];
    bool of_stream = type == 0 || type == 1 || type == 3;
    if (!of_stream)
        return;
    assert_true(stream % 2 == 1 && index < H2_STREAMS);
    assert_true(!answers->streams[index].ended || type == 3); /* of what is not read any more */
    if (type == 1) {
        assert_true(flags & 4); /* what we say fits in a frame */
        int status = h2_status(answers, frame + 9, length);
        if (status >= 200)
            answers->streams[index].status = status;
    } else if (type == 0) {
        if (answers->streams[index].status == 200)
            check(data, index, answers->streams[index].length, (const char *)frame + 9, length);
        answers->streams[index].length += length;
    }
    answers->streams[index].ended |= type != 3 && (flags & 1);
    answers->streams[index].reset |= type == 3;
}

static inline void h2_take(struct h2_answers *answers, const char *bytes, size_t length,
                           void (*check)(const void *data, int index, size_t at, const char *bytes,
                                         size_t length),
                           const void *data)
{
    *answers = (struct h2_answers){0};
    assert_int_equal(nghttp2_hd_inflate_new(&answers->inflater), 0);
    while (length >= 9) {
        uint32_t frame = h2_number((const uint8_t *)bytes, 3);
        if (length < 9 + frame)
            break;
        h2_take_frame(answers, (const uint8_t *)bytes, frame, check, data);
        bytes += 9 + frame;
        length -= 9 + frame;
    }
    nghttp2_hd_inflate_del(answers->inflater);
}

#endif
