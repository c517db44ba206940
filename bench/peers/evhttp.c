/* evhttp of libevent for the comparison: one thread, its loop chooses epoll.
 *
 *     evhttp [PORT]     0: any that is free; prints where it listens */
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>

static const char text[] = "Hello, World!";

static void answer(struct evhttp_request *request, void *data)
{
    (void)data;
    evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", "text/plain");
    evbuffer_add_reference(evhttp_request_get_output_buffer(request), text, sizeof text - 1, NULL,
                           NULL);
    evhttp_send_reply(request, 200, "OK", NULL);
}

int main(int count, char **words)
{
    struct event_base *base = event_base_new();
    struct evhttp *http = evhttp_new(base);
    evhttp_set_gencb(http, answer, NULL);
    struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(
        http, "127.0.0.1", (uint16_t)(count > 1 ? atoi(words[1]) : 0));
    if (bound == NULL) {
        fprintf(stderr, "evhttp: cannot listen\n");
        return 1;
    }
    struct sockaddr_in in = {0};
    socklen_t length = sizeof in;
    getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&in, &length);
    printf("http://127.0.0.1:%u\n", ntohs(in.sin_port));
    fflush(stdout);
    event_base_dispatch(base);
    return 0;
}
