/* files: a folder over HTTP.
 *
 *     files [PORT [FOLDER]]
 *
 *     GET, HEAD /path   the file FOLDER/path; a folder's index.html when the path ends with "/"
 *
 * PORT is 8080 unless given; 0 takes any free one. FOLDER is the one it is started in.
 *
 * What lies outside of FOLDER is not reached, by no "..", no encoding and no symbolic link: the
 * kernel sees to it (openat2 with RESOLVE_BENEATH). Names that begin with a dot, folders without an
 * index and what is no regular file are not found. Conditional requests (RFC 9110, 13) and ranges
 * (14) are answered; of several ranges in one request none is (14.2 allows that), so a request
 * costs the same whatever it asks for.
 */
#include <carom.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PATH_MOST 4096
#define INDEX     "index.html"

static carom_service *service;
static int root; /* of what is served */

/* What is known of the file that is asked for. */
struct file {
    int descriptor;
    uint64_t size;
    time_t modified;
    char tag[64]; /* its entity tag, with the quotes */
    char date[32];
};

/* Part of a file. */
struct range {
    uint64_t first, length;
};

/* ---------------------------------------------------------------- answers */

static carom_slice slice_of(const char *text)
{
    return (carom_slice){text, strlen(text)};
}

static carom_field field(const char *name, const char *value)
{
    return (carom_field){slice_of(name), slice_of(value)};
}

/* An answer with one line of text that says so, and perhaps a field. */
static void answer_text(carom_record *record, uint16_t status, const char *text,
                        const carom_field *extra)
{
    carom_field fields[2] = {field("Content-Type", "text/plain; charset=utf-8")};
    carom_response response = {
        .status = status,
        .fields = fields,
        .field_count = 1,
        .content = {text, strlen(text), NULL, NULL},
    };

    if (extra != NULL)
        fields[response.field_count++] = *extra;
    carom_respond(record, &response); /* an error here means that the client has gone */
}

/* ---------------------------------------------------------------- from target to path */

static int hex(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit = (char)(digit | 0x20);
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Decode the path of a target (RFC 3986, 2.1 and 3.3), without the first "/". False when it is no
 * path of a file: bad encoding, control characters, an encoded "/". */
static bool decode(carom_slice target, char *path, size_t size)
{
    const char *at = target.data, *end = at + target.length;
    size_t length = 0;

    if (at == end || *at++ != '/')
        return false;
    for (; at < end && *at != '?'; at++) {
        int byte = (unsigned char)*at;
        if (byte == '%') {
            int high = end - at > 2 ? hex(at[1]) : -1, low = end - at > 2 ? hex(at[2]) : -1;
            if (high < 0 || low < 0)
                return false;
            byte = high * 16 + low;
            at += 2;
            if (byte == '/')
                return false;
        }
        if (byte < ' ' || byte == 0x7f || length + sizeof INDEX >= size)
            return false;
        path[length++] = (char)byte;
    }
    path[length] = '\0';
    if (length == 0 || path[length - 1] == '/')
        memcpy(path + length, INDEX, sizeof INDEX);
    return true;
}

/* No part of a path is empty or begins with a dot: not ".", not "..", nothing hidden. */
static bool is_plain(const char *path)
{
    for (;;) {
        if (*path == '\0' || *path == '/' || *path == '.')
            return false;
        path = strchr(path, '/');
        if (path == NULL)
            return true;
        path++;
    }
}

/* Open what lies at a path below the root. Never waits: for a FIFO there may be no writer. A
 * descriptor, or -1 with errno. */
static int open_below(const char *path)
{
    const struct open_how how = {
        .flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    int fd = -1, tries = 0;

    do /* EAGAIN: something was renamed meanwhile, and the kernel cannot be sure */
        fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
    while (fd < 0 && errno == EAGAIN && ++tries < 5);
    return fd;
}

/* ---------------------------------------------------------------- validators */

static void format_date(time_t when, char *text, size_t size)
{
    struct tm tm;

    gmtime_r(&when, &tm);
    strftime(text, size, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

/* An HTTP-date in one of its three forms (RFC 9110, 5.6.7), or -1. */
static time_t parse_date(carom_slice value)
{
    static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                        "%a %b %d %H:%M:%S %Y"};
    char text[64];

    if (value.length >= sizeof text)
        return -1;
    memcpy(text, value.data, value.length);
    text[value.length] = '\0';
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct tm tm = {0};
        const char *end = strptime(text, forms[i], &tm);
        if (end != NULL && *end == '\0')
            return timegm(&tm);
    }
    return -1;
}

static void describe(struct file *file, const struct stat *status)
{
    time_t now = time(NULL);

    file->size = (uint64_t)status->st_size;
    file->modified = status->st_mtim.tv_sec < now ? status->st_mtim.tv_sec : now;
    snprintf(file->tag, sizeof file->tag, "\"%llx-%llx-%llx\"",
             (unsigned long long)status->st_mtim.tv_sec * 1000000000 +
                 (unsigned long long)status->st_mtim.tv_nsec,
             (unsigned long long)status->st_size, (unsigned long long)status->st_ino);
    format_date(file->modified, file->date, sizeof file->date);
}

/* Whether a list of entity tags has this one, or is "*". Ours is strong; a weak one is the same by
 * the weak comparison only (RFC 9110, 8.8.3.2). */
static bool list_has(carom_slice list, const char *tag, bool weakly)
{
    const char *at = list.data, *end = at + list.length;
    size_t length = strlen(tag);

    if (list.length == 1 && *at == '*')
        return true;
    while (at < end) {
        bool weak = end - at > 2 && at[0] == 'W' && at[1] == '/';
        const char *open = weak ? at + 2 : at, *close;
        if (*open != '"') { /* a comma, a space, or what is no tag */
            at++;
            continue;
        }
        close = memchr(open + 1, '"', (size_t)(end - open - 1));
        if (close == NULL)
            return false;
        at = close + 1;
        if ((size_t)(at - open) == length && memcmp(open, tag, length) == 0 && (!weak || weakly))
            return true;
    }
    return false;
}

/* Whether any line of field `name` has the tag; *given tells whether there is a line. */
static bool field_has(const carom_record *record, const char *name, const char *tag, bool weakly,
                      bool *given)
{
    size_t cursor = 0;
    bool found = false;
    carom_slice value;

    *given = false;
    while ((value = carom_request_field_next(record, name, &cursor)).data != NULL) {
        *given = true;
        found |= list_has(value, tag, weakly);
    }
    return found;
}

/* The preconditions, in the order of RFC 9110, 13.2.2: 0, 304 or 412. */
static uint16_t check_conditions(const carom_record *record, const struct file *file)
{
    bool given;
    bool matches = field_has(record, "If-Match", file->tag, false, &given);
    carom_slice unmodified = carom_request_field(record, "If-Unmodified-Since");
    carom_slice modified = carom_request_field(record, "If-Modified-Since");
    time_t since;

    if (given && !matches)
        return 412;
    if (!given && unmodified.data != NULL) {
        since = parse_date(unmodified);
        if (since != -1 && file->modified > since)
            return 412;
    }
    matches = field_has(record, "If-None-Match", file->tag, true, &given);
    if (given)
        return matches ? 304 : 0;
    if (modified.data != NULL) {
        since = parse_date(modified);
        if (since != -1 && file->modified <= since)
            return 304;
    }
    return 0;
}

/* ---------------------------------------------------------------- ranges */

/* A decimal number, as far as it goes; what is too large is the largest. False without a digit. */
static bool take_number(const char **at, const char *end, uint64_t *number)
{
    const char *begin = *at;

    *number = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; ++*at) {
        uint64_t digit = (uint64_t)(**at - '0');
        *number = *number > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *number * 10 + digit;
    }
    return *at > begin;
}

/* Whether If-Range, if there is one, lets the range be: the tag, or the very date when that is old
 * enough to be sure (RFC 9110, 13.1.5). */
static bool range_is_current(const carom_record *record, const struct file *file)
{
    carom_slice value = carom_request_field(record, "If-Range");

    if (value.data == NULL)
        return true;
    if (value.length > 0 && (value.data[0] == '"' || value.data[0] == 'W'))
        return list_has(value, file->tag, false);
    return parse_date(value) == file->modified && file->modified < time(NULL) - 1;
}

/* The range that is asked for (RFC 9110, 14.1.2): 206 and where it lies, 416, or 200 when there is
 * none that is understood. */
static uint16_t find_range(const carom_record *record, const struct file *file, struct range *range)
{
    size_t cursor = 0;
    carom_slice value = carom_request_field_next(record, "Range", &cursor);
    const char *at = value.data != NULL ? value.data : "", *end = at + value.length;
    uint64_t first, last = UINT64_MAX;

    *range = (struct range){0, file->size};
    if (value.length < 6 || strncasecmp(at, "bytes=", 6) != 0 ||
        carom_request_field_next(record, "Range", &cursor).data != NULL ||
        !range_is_current(record, file))
        return 200;
    at += 6;
    if (at < end && *at == '-') { /* the last so many */
        at++;
        if (!take_number(&at, end, &last) || at != end)
            return 200;
        if (last == 0 || file->size == 0)
            return 416;
        range->length = last < file->size ? last : file->size;
        range->first = file->size - range->length;
        return 206;
    }
    if (!take_number(&at, end, &first) || at == end || *at++ != '-')
        return 200;
    if ((at < end && !take_number(&at, end, &last)) || at != end || last < first)
        return 200;
    if (first >= file->size)
        return 416;
    if (last >= file->size)
        last = file->size - 1;
    *range = (struct range){first, last - first + 1};
    return 206;
}

/* ---------------------------------------------------------------- content */

static const char *type_of(const char *path)
{
    static const char *const types[][2] = {
        {"html", "text/html; charset=utf-8"},
        {"htm", "text/html; charset=utf-8"},
        {"css", "text/css; charset=utf-8"},
        {"js", "text/javascript; charset=utf-8"},
        {"mjs", "text/javascript; charset=utf-8"},
        {"json", "application/json"},
        {"txt", "text/plain; charset=utf-8"},
        {"md", "text/markdown; charset=utf-8"},
        {"csv", "text/csv; charset=utf-8"},
        {"xml", "application/xml"},
        {"svg", "image/svg+xml"},
        {"png", "image/png"},
        {"jpg", "image/jpeg"},
        {"jpeg", "image/jpeg"},
        {"gif", "image/gif"},
        {"webp", "image/webp"},
        {"avif", "image/avif"},
        {"ico", "image/vnd.microsoft.icon"},
        {"woff", "font/woff"},
        {"woff2", "font/woff2"},
        {"wasm", "application/wasm"},
        {"pdf", "application/pdf"},
        {"zip", "application/zip"},
        {"gz", "application/gzip"},
        {"mp3", "audio/mpeg"},
        {"mp4", "video/mp4"},
        {"webm", "video/webm"},
    };
    const char *name = strrchr(path, '/');
    const char *dot = strrchr(name != NULL ? name : path, '.');

    for (size_t i = 0; dot != NULL && i < sizeof types / sizeof *types; i++)
        if (strcasecmp(dot + 1, types[i][0]) == 0)
            return types[i][1];
    return "application/octet-stream";
}

/* Answer with the file or part of it; its descriptor goes to the library or is closed. */
static void answer_file(carom_record *record, const struct file *file, const char *path)
{
    char content_range[80];
    carom_field fields[6] = {field("ETag", file->tag), field("Last-Modified", file->date),
                             field("Accept-Ranges", "bytes"),
                             field("X-Content-Type-Options", "nosniff"),
                             field("Content-Type", type_of(path))};
    carom_response response = {.status = check_conditions(record, file), .fields = fields};
    struct range range = {0, file->size};
    carom_file content;

    if (response.status == 0) {
        response.status = 200;
        if (carom_request_method(record).length == 3) /* GET: RFC 9110, 14.2 */
            response.status = find_range(record, file, &range);
    }
    if (response.status >= 400) {
        carom_field extra = field("Content-Range", content_range);
        snprintf(content_range, sizeof content_range, "bytes */%llu",
                 (unsigned long long)file->size);
        extra.value.length = strlen(content_range);
        close(file->descriptor);
        if (response.status == 416)
            answer_text(record, 416, "no such range\n", &extra);
        else
            answer_text(record, 412, "it is another one\n", NULL);
        return;
    }
    response.field_count = response.status == 304 ? 2 : 5;
    if (response.status == 206) {
        snprintf(content_range, sizeof content_range, "bytes %llu-%llu/%llu",
                 (unsigned long long)range.first,
                 (unsigned long long)(range.first + range.length - 1),
                 (unsigned long long)file->size);
        fields[response.field_count++] = field("Content-Range", content_range);
    }
    content =
        (carom_file){.descriptor = file->descriptor, .offset = range.first, .length = range.length};
    if (carom_respond_file(record, &response, &content) == -CAROM_ELENGTH)
        answer_text(record, 503, "it is being changed\n", NULL);
}

/* ---------------------------------------------------------------- requests */

/* A folder that was named without its "/": relative links in its index need that. */
static void redirect(carom_record *record, carom_slice target)
{
    char location[PATH_MOST + 1];
    const char *query = memchr(target.data, '?', target.length);
    size_t length = query != NULL ? (size_t)(query - target.data) : target.length;
    carom_field extra;

    if (length + 2 > sizeof location || target.data[length - 1] == '/') {
        answer_text(record, 404, "no such file\n", NULL);
        return;
    }
    memcpy(location, target.data, length);
    memcpy(location + length, "/", 2);
    extra = field("Location", location);
    answer_text(record, 301, "there\n", &extra);
}

static void answer(carom_record *record)
{
    carom_slice method = carom_request_method(record), target = carom_request_target(record);
    carom_field allow = field("Allow", "GET, HEAD");
    char path[PATH_MOST];
    struct file file;
    struct stat status;

    if (!(method.length == 3 && memcmp(method.data, "GET", 3) == 0) &&
        !(method.length == 4 && memcmp(method.data, "HEAD", 4) == 0)) {
        answer_text(record, 405, "ask by GET or HEAD\n", &allow);
        return;
    }
    if (!decode(target, path, sizeof path)) {
        answer_text(record, 400, "no path of a file\n", NULL);
        return;
    }
    file.descriptor = is_plain(path) ? open_below(path) : -1;
    if (file.descriptor < 0 && (errno == EMFILE || errno == ENFILE) && is_plain(path)) {
        answer_text(record, 503, "too many files are open\n", NULL);
        return;
    }
    if (file.descriptor < 0 || fstat(file.descriptor, &status) < 0)
        status.st_mode = 0;
    if (S_ISREG(status.st_mode)) {
        describe(&file, &status);
        answer_file(record, &file, path);
        return;
    }
    if (S_ISDIR(status.st_mode))
        redirect(record, target);
    else
        answer_text(record, 404, "no such file\n", NULL);
    if (file.descriptor >= 0)
        close(file.descriptor);
}

static void handle(carom_record *record, void *data)
{
    (void)data;
    answer(record);
    carom_release(record);
}

static void on_signal(int number)
{
    (void)number;
    carom_shutdown(service, 10000);
}

int main(int argc, char **argv)
{
    carom_options options = CAROM_OPTIONS_INIT;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    carom_address address = {0};
    char listen_on[64];
    int error, probe;

    const char *folder = argc > 2 ? argv[2] : ".";

    root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    probe = root < 0 ? -1 : open_below(".");
    if (probe < 0) {
        fprintf(stderr, "files: cannot serve %s: %s\n", folder, strerror(errno));
        return 1;
    }
    close(probe);
    options.handler = handle;
    snprintf(listen_on, sizeof listen_on, "127.0.0.1:%s", argc > 1 ? argv[1] : "8080");
    error = carom_service_create(&service, &options);
    if (error == 0)
        error = carom_service_listen(service, listen_on);
    if (error == 0)
        error = carom_service_listener(service, 0, &address);
    if (error < 0) {
        fprintf(stderr, "files: cannot listen on %s: %s\n", listen_on, carom_error_text(error));
        carom_service_destroy(service);
        return 1;
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    printf("files: %s is at http://localhost:%d/\n", folder, address.port);
    fflush(stdout);

    error = carom_run(service);
    carom_service_destroy(service);
    close(root);
    return error < 0 ? 1 : 0;
}
