/* parse: what it costs to read a request head with src/wire, alone in memory.
 *
 *     parse
 *
 * Reads the request that wrk sends, and one as a browser sends, over and over; prints nanoseconds
 * per head and bytes per nanosecond (which is GB/s), the median of several rounds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "timing.h"
#include "wire/h1_request.h"

#define HEADS      1000000
#define ROUNDS     7
#define MAX_FIELDS 100 /* the default of carom_options */

static const char small[] = "GET / HTTP/1.1\r\n"
                            "Host: 127.0.0.1:8080\r\n"
                            "\r\n";

static const char browser[] =
    "GET /articles/2024/how-it-works?from=front&page=2 HTTP/1.1\r\n"
    "Host: www.example.com\r\n"
    "Connection: keep-alive\r\n"
    "Cache-Control: max-age=0\r\n"
    "sec-ch-ua: \"Chromium\";v=\"124\", \"Not-A.Brand\";v=\"99\"\r\n"
    "sec-ch-ua-mobile: ?0\r\n"
    "sec-ch-ua-platform: \"Linux\"\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/124.0.0.0 Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
    "image/apng,*/*;q=0.8\r\n"
    "Sec-Fetch-Site: same-origin\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Sec-Fetch-User: ?1\r\n"
    "Sec-Fetch-Dest: document\r\n"
    "Referer: https://www.example.com/articles/\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; seen=1\r\n"
    "\r\n";

/* Everything a connection does for a head: begin, read, and let go of the table. */
static void read_once(const char *text, uint32_t length, struct carom_request_head *head)
{
    static const struct carom_h1_limits limits = {.max_target = 8 * 1024,
                                                  .max_header_section = 16 * 1024};
    struct carom_h1_reader reader;

    carom_h1_reader_init(&reader);
    int result = carom_h1_read_head(&reader, &limits, (const uint8_t *)text, length, head);
    if (result != (int)length) {
        fprintf(stderr, "parse: the head was not read whole: %d\n", result);
        exit(1);
    }
    carom_fields_clear(&head->fields);
}

static void measure(const char *name, const char *text, uint32_t length, struct carom_pool *tables)
{
    static struct carom_request_head head;
    double times[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        double start = thread_time();
        for (int k = 0; k < HEADS; k++) {
            carom_fields_init(&head.fields, tables, MAX_FIELDS);
            read_once(text, length, &head);
        }
        times[i] = (thread_time() - start) / HEADS;
    }
    double middle = median(times, ROUNDS);
    printf("| %-12s | %4u | %6.1f | %5.2f |\n", name, length, middle, length / middle);
}

int main(void)
{
    struct carom_pool tables;

    carom_pool_init(&tables, MAX_FIELDS * sizeof(struct carom_field_span), 1);
    printf("| request | bytes | ns per head | GB/s |\n| --- | ---: | ---: | ---: |\n");
    measure("wrk-like", small, sizeof small - 1, &tables);
    measure("browser-like", browser, sizeof browser - 1, &tables);
    carom_pool_finish(&tables);
    return 0;
}
