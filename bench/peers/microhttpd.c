/* GNU libmicrohttpd for the comparison: one thread with epoll, one response that is made once.
 *
 *     microhttpd [PORT]     0: any that is free; prints where it listens */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static const char text[] = "Hello, World!";
static struct MHD_Response *hello;

static enum MHD_Result answer(void *data, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *content,
                              size_t *content_length, void **state)
{
    (void)data, (void)url, (void)method, (void)version, (void)content;
    if (*state == NULL) { /* the head; the library wants the answer with the end of the content */
        *state = (void *)text;
        return MHD_YES;
    }
    if (*content_length > 0) {
        *content_length = 0;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, hello);
}

int main(int count, char **words)
{
    sigset_t end;
    int number;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    in.sin_port = htons((uint16_t)(count > 1 ? atoi(words[1]) : 0));
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigaddset(&end, SIGINT);
    pthread_sigmask(SIG_BLOCK, &end, NULL);
    hello = MHD_create_response_from_buffer(sizeof text - 1, (void *)(size_t)text,
                                            MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(hello, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain");
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer, NULL, MHD_OPTION_SOCK_ADDR, &in,
        MHD_OPTION_CONNECTION_LIMIT, 10000u, MHD_OPTION_LISTEN_BACKLOG_SIZE, 4096u, MHD_OPTION_END);
    if (daemon == NULL) {
        fprintf(stderr, "microhttpd: cannot listen\n");
        return 1;
    }
    printf("http://127.0.0.1:%u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    sigwait(&end, &number);
    MHD_stop_daemon(daemon);
    MHD_destroy_response(hello);
    return 0;
}
