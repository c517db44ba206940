/* Routes: fixed answers for fixed paths, given by the engine without entering JavaScript. */
#include "server.h"

#include <stdlib.h>
#include <string.h>

struct route {
    struct route *next;
    carom_response response;
    carom_field *fields;
    size_t path_length;
    char path[]; /* then the bytes of the fields and the body */
};

/* Field lines as loans of the ring have them; `fields` NULL: they are only counted. Their lengths
 * come from our own encoder. */
static size_t read_fields(carom_field *fields, const char *at, size_t length)
{
    size_t count = 0;
    for (const char *end = at + length; at < end; count++) {
        uint32_t lengths[2];
        memcpy(lengths, at, sizeof lengths);
        at += sizeof lengths;
        if (fields != NULL) {
            fields[count].name = (carom_slice){at, lengths[0]};
            fields[count].value = (carom_slice){at + lengths[0], lengths[1]};
        }
        at += (size_t)lengths[0] + lengths[1];
    }
    return count;
}

static void route_free(struct route *route)
{
    free(route->fields);
    free(route);
}

int route_add(struct server *server, const char *path, size_t path_length, uint16_t status,
              const uint8_t *fields, size_t fields_length, const uint8_t *body, size_t body_length)
{
    struct route *route = calloc(1, sizeof *route + path_length + fields_length + body_length);
    if (route == NULL)
        return -CAROM_ENOMEM;
    memcpy(route->path, path, path_length);
    route->path_length = path_length;
    char *bytes = route->path + path_length;
    size_t count = read_fields(NULL, (const char *)fields, fields_length);
    route->fields = calloc(count + 1, sizeof *route->fields);
    if (route->fields == NULL) {
        route_free(route);
        return -CAROM_ENOMEM;
    }
    if (fields_length > 0)
        memcpy(bytes, fields, fields_length);
    if (body_length > 0)
        memcpy(bytes + fields_length, body, body_length);
    route->response.status = status;
    route->response.fields = route->fields;
    route->response.field_count = read_fields(route->fields, bytes, fields_length);
    if (count > 0 && route->fields[0].name.length == 0) {
        route->response.phrase = route->fields[0].value;
        route->response.fields++;
        route->response.field_count--;
    }
    route->response.content =
        (carom_content){bytes + fields_length, body_length, carom_static_content, NULL};
    route->next = server->routes;
    server->routes = route;
    return 0;
}

static const struct route *find(const struct route *route, carom_slice target)
{
    const char *query = memchr(target.data, '?', target.length);
    size_t length = query == NULL ? target.length : (size_t)(query - target.data);
    for (; route != NULL; route = route->next)
        if (route->path_length == length && memcmp(route->path, target.data, length) == 0)
            return route;
    return NULL;
}

static bool is_read_only(carom_slice method)
{
    return (method.length == 3 && memcmp(method.data, "GET", 3) == 0) ||
           (method.length == 4 && memcmp(method.data, "HEAD", 4) == 0);
}

void route_handle(carom_record *record, void *data)
{
    const struct server *server = data;
    const struct route *route = NULL;
    if (server->routes != NULL && is_read_only(carom_request_method(record)))
        route = find(server->routes, carom_request_target(record));
    if (route == NULL) {
        carom_ring_handle(record, NULL);
        return;
    }
    carom_respond(record, &route->response);
    carom_release(record);
}

void routes_free(struct server *server)
{
    while (server->routes != NULL) {
        struct route *route = server->routes;
        server->routes = route->next;
        route_free(route);
    }
}
