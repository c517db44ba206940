/* The table of scenarios; a part of scenarios.h. */
#ifndef CAROM_TEST_UNIT_FAULT_SCENARIO_TABLE_H
#define CAROM_TEST_UNIT_FAULT_SCENARIO_TABLE_H

#define GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"
#define HEX64       "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define FIELD       "X-Padding: " HEX64 HEX64 HEX64 HEX64 "\r\n"

#define ANSWER(status, text)                                                                       \
    {                                                                                              \
        status, text, sizeof(text) - 1                                                             \
    }

/* Three things to say, with zeros in them. */
#define H2_SAYS(a, b, c) .says = {a, b, c}, .lengths = {sizeof(a) - 1, sizeof(b) - 1, sizeof(c) - 1}

static const struct scenario scenarios[] = {
    {.name = "keep-alive",
     .says = {GET("/hello"), GET("/hello"), GET("/hello")},
     .piece = 5,
     .answers = {ANSWER(200, "hello"), ANSWER(200, "hello"), ANSWER(200, "hello")}},
    {.name = "content by length",
     .says = {"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 192\r\n\r\n" HEX64, HEX64, HEX64},
     .answers = {ANSWER(200, "192 13464")},
     .piece = 9},
    {.name = "chunked content",
     .says = {"POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
              "40\r\n" HEX64 "\r\n80;x=y\r\n" HEX64, HEX64 "\r\n0\r\nX-Sum: 7\r\n\r\n"},
     .answers = {ANSWER(200, "192 13464")},
     .piece = 3},
    {.name = "streamed response",
     .says = {GET("/stream"), GET("/hello")},
     .answers = {{200, pattern, STREAM_LENGTH}, ANSWER(200, "hello")},
     .slow = true},
    {.name = "large borrowed content",
     .says = {GET("/large"), GET("/hello")},
     .answers = {{200, pattern, LARGE_LENGTH}, ANSWER(200, "hello")},
     .slow = true},
    {.name = "large file",
     .says = {GET("/file") GET("/hello")},
     .answers = {{200, pattern, LARGE_LENGTH}, ANSWER(200, "hello")},
     .slow = true},
    {.name = "file that must be read",
     .says = {GET("/hello") GET("/read-file"), GET("/hello")},
     .answers = {ANSWER(200, "hello"), {200, pattern, LARGE_LENGTH}, ANSWER(200, "hello")},
     .slow = true},
    {.name = "file that is given",
     .says = {GET("/given-file"), GET("/given-file")},
     .answers = {{200, pattern + 100, 1000}, {200, pattern + 100, 1000}}},
    {.name = "long copied content",
     .says = {GET("/copy")},
     .answers = {{200, pattern, COPY_LENGTH}}},
    {.name = "pipeline",
     .says = {GET(
         "/hello") "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 64\r\n\r\n" HEX64 GET("/post")
                  GET("/hello")},
     .answers = {ANSWER(200, "hello"), ANSWER(200, "64 4488"), ANSWER(200, "hello"),
                 ANSWER(200, "hello")},
     .piece = 10},
    {.name = "100-continue",
     .says =
         {"POST /read HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 64\r\n\r\n",
          HEX64},
     .piece = 10,
     .answers = {ANSWER(200, "64 4488")}},
    {.name = "upgrade",
     .says = {"GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
              "ping", "pong"},
     .piece = 7,
     .answers = {ANSWER(101, "pingpong")},
     .leaves = true},
    {.name = "bad request",
     .says = {GET("/hello"), "GET / HTTP/1.1\r\n\r\n"},
     .piece = 5,
     .answers = {ANSWER(200, "hello"), ANSWER(400, "400 Bad Request\n")}},
    {.name = "head in pieces",
     .says = {"GET /hello HTTP/1.1\r\nHost: a\r\n" FIELD FIELD FIELD, FIELD FIELD FIELD,
              FIELD FIELD FIELD FIELD FIELD, "A: b\r\nC: d\r\nE: f\r\nG: h\r\n\r\n"},
     .answers = {ANSWER(200, "hello")},
     .piece = 50},
    {.name = "answer by carom_post",
     .says = {GET("/post"), GET("/post")},
     .piece = 10,
     .answers = {ANSWER(200, "hello"), ANSWER(200, "hello")}},
    {.name = "watched descriptors",
     .says = {GET("/watch") GET("/watch-worker"), GET("/hello")},
     .piece = 20,
     .answers = {ANSWER(200, "rung"), ANSWER(200, "rung"), ANSWER(200, "hello")}},
    {.name = "drain",
     .says = {GET("/hello") GET("/hold") GET("/hold")},
     .piece = 10,
     .answers = {ANSWER(200, "hello"), ANSWER(200, "held"), ANSWER(200, "held")},
     .drains = true},
    {.name = "HTTP/2",
     H2_SAYS(H2_BEGIN H2_GET("\1", "\xd", "\6", "/hello") H2_POST("\3", "\xc", "\5", "/read"),
             H2_DATA("\3", HEX64) H2_GET("\5", "\xc", "\5", "/post"), H2_LAST("\3", HEX64)),
     .piece = 21,
     .answers = {ANSWER(200, "hello"), ANSWER(200, "128 8976"), ANSWER(200, "hello")}},
    {.name = "HTTP/2, large and streamed",
     H2_SAYS(H2_BEGIN H2_GET("\1", "\xd", "\6", "/large"),
             H2_GET("\3", "\xe", "\7", "/stream") H2_GET("\5", "\xc", "\5", "/copy"),
             H2_GET("\7", "\xc", "\5", "/file")),
     .answers = {{200, pattern, LARGE_LENGTH},
                 {200, pattern, STREAM_LENGTH},
                 {200, pattern, COPY_LENGTH},
                 {200, pattern, LARGE_LENGTH}},
     .slow = true},
};

#endif
