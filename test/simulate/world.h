/* The simulated world: clients, exchanges, handlers around one service on the simulated network. An
 * exchange is known to both sides, by the number in its target: the client knows what the handler
 * will do, and so what it must see, byte for byte. Nothing here is decided by anything but the
 * seed.
 */
#ifndef CAROM_TEST_SIMULATE_WORLD_H
#define CAROM_TEST_SIMULATE_WORLD_H

#include "carom.h"
#include "net/loop_simulated.h"
#include "simulate/random.h"

#define CLIENTS          40 /* of a run */
#define EXCHANGES        400
#define CLIENT_EXCHANGES 12
#define PROGRAM          16 /* steps of a handler */
#define CONTENT_MOST     300000

/* What a handler does, one after the other. */
enum step {
    STEP_READ,    /* all content, piece by piece */
    STEP_COLLECT, /* all content at once */
    STEP_PAUSE,   /* come back later: timer, post, or a call between turns */
    STEP_NEVER,   /* wait until something ends it */
    STEP_INFORM,
    STEP_MISTAKE, /* calls that must fail without harm */
    STEP_RESPOND, /* whole */
    STEP_BEGIN,
    STEP_WRITE,
    STEP_END,
    STEP_UPGRADE,
    STEP_ROOM,   /* wait for room in what is to be sent, whatever there is */
    STEP_FINISH, /* wait for the end */
    STEP_CANCEL,
    STEP_RELEASE,
};

/* A response head as it came. */
struct head {
    unsigned status;
    bool close, keep, chunked, has_length, has_id, upgrade;
    uint64_t length;
    uint32_t id;
};

/* A descriptor of a handler's. */
struct watch {
    bool on, once, of_record; /* it is watched; for one event; until its record ends */
    bool fired;               /* since the last look */
    unsigned index, events, ready;
};

struct exchange {
    uint32_t id;
    struct client *client;
    int index; /* among its client's */

    /* The request; its bytes are [from, to) of what the client sends. */
    size_t from, head_end, to;
    bool is_head, is_connect, upgrades; /* asks to */
    bool old, keeps;                    /* HTTP/1.0; with keep-alive */
    bool closes, expects, patient;      /* waits for 100 Continue */
    bool chunked, trailers;
    uint16_t refused;  /* what the engine must answer, because it is malformed or over a limit */
    bool refused_late; /* in its content, so that the handler may be there before */
    uint32_t content;

    /* The handler's plan. */
    uint8_t program[PROGRAM];
    bool lent, stubborn, twice, says_close, known, trailers_out;
    uint16_t status;
    uint32_t length, piece, fill;

    /* How far the handler is. */
    carom_record *record;
    carom_waker readable, writable, cancelled, draining, ended, timer, posted;
    carom_io io;
    struct watch watch;
    uint8_t at;
    uint8_t pausing; /* enum pause */
    bool handed, released;
    bool begun, whole; /* the head was accepted; so was the end */
    bool over;         /* the handler knows that the exchange is over */
    bool cut;          /* the handler has ended it */
    bool informed, upgraded, read_whole;
    bool unreadable; /* it answers from a file that cannot be read */
    uint32_t read, written;
    uint64_t handed_at, due;
    carom_reason reason;
    uint8_t armed;            /* which wakers wait */
    bool collects, collected; /* all content at once: waits for it; has waited, ever */
    bool readable_now, writable_now;
    carom_slice slice; /* of content, in its hands */
    uint32_t slice_at; /* where that is in the content */

    /* In a VM. */
    int slot;             /* its slot on the ring; -1: it has none yet */
    uint32_t generation;  /* of the slot */
    uint32_t also;        /* flags that go along with the next message */
    bool releasing, lost; /* it has said so; no content comes any more */

    /* What times.c knows. */
    struct {
        uint64_t since; /* content is waited for; 0: it is not */
        uint64_t bytes; /* received when the window began */
        uint64_t rests_at;
        uint32_t left; /* of the window */
    } wanting;
    uint32_t offered;    /* of its answer, to the engine */
    uint64_t offered_at; /* when there was nothing else to send */
    uint64_t seen_at;    /* when the client saw some of it last */
    uint64_t shut_since; /* the client lets nothing of it through */
    uint64_t section_at; /* when its section had begun for certain */

    /* What the client saw. */
    bool continued, hinted, final, answered;
    uint64_t taken_at; /* when the engine took its first byte; 0: not yet */
    uint64_t begun_at; /* when it certainly had some of the head, and not an empty line */

    /* On a stream of HTTP/2. */
    int32_t stream;
    uint32_t given, seen, owed; /* of its content; of the answer's; credit for that */
    bool head_leaves, end_leaves;
    bool deferred;      /* its content waits */
    bool upgraded_here; /* the client knows */
    bool resets;        /* by the client */
    bool gone;          /* the stream is closed */
};

enum pause {
    PAUSE_NONE,
    PAUSE_TIMER,
    PAUSE_OUTSIDE,
    PAUSE_POSTED,
    PAUSE_WATCHED,
    PAUSE_EDGE,
    PAUSE_END,
    PAUSE_NEVER
};

enum manner {
    POLITE,   /* sends all, reads all, leaves */
    RESETS,   /* leaves in the middle by a reset */
    FINISHES, /* in the middle by FIN, and reads on */
    STALLS,   /* sends no more from some byte on */
    DEAF,     /* reads no more from some byte on */
    MANNERS,
    MUTATES = MANNERS, /* changes a byte, in HTTP/2 or in TLS */
};

/* Where a client is in what it receives. */
enum reader {
    READER_HEAD,
    READER_LENGTH,
    READER_CHUNK_LINE,
    READER_CHUNK,
    READER_CHUNK_END,
    READER_TRAILERS,
    READER_UNTIL_CLOSE,
    READER_TUNNEL,
};

struct tls_line;
struct nghttp2_session;

struct client {
    struct carom_peer *peer;
    int number;
    uint8_t manner;
    uint8_t pieces; /* 0: all at once, 1: any, 2: tiny */
    uint32_t depth, requests;
    uint32_t window;  /* how much it reads at a time; 0: all */
    uint64_t leaving; /* bytes sent (DEAF: received) until it leaves, stalls, or is deaf */
    bool finishes;    /* leaves by FIN when all is well; else waits to be closed, or resets */

    char *out;
    size_t out_used, out_size, sent;
    struct exchange *exchanges[CLIENT_EXCHANGES];
    int count, answered; /* of exchanges: begun to be sent; answered whole */

    uint8_t reader;
    size_t seen; /* bytes looked at */
    uint64_t left, offset;
    bool closing; /* the last answer said that it ends here */
    bool refused; /* the whole connection, by 503 */
    bool stirred; /* a handler has let go since the last look */
    bool rude;    /* sends on after that */
    bool reset, finished, stalled, deaf, concluded;
    uint64_t accepted_at, active_at, progress_at, fin_at; /* progress: it took bytes */
    uint64_t busy_at;               /* the engine took bytes, or a handler released, last */
    uint64_t heard_at;              /* the engine took bytes */
    uint64_t opened_at, preface_at; /* the first byte, and the last of the preface of HTTP/2 */
    size_t received, taken;
    size_t got;             /* bytes on the wire */
    uint64_t stalled_since; /* the engine has bytes for it, and none are taken; 0: no, */
    uint64_t lingers_since; /* it is read on, behind the last answer */
    uint64_t stuck_since;   /* the same of more than what TLS has written */

    struct tls_line *line; /* NULL: plain */
    bool mute;             /* it says hello, and no more */
    bool shaken;           /* hands */
    bool mutated;          /* a byte was changed: anything may follow */

    struct nghttp2_session *session; /* NULL: HTTP/1.1 */
    bool stingy;                     /* with credit */
    uint32_t owed;
    int32_t last_stream; /* that the engine takes */
    struct head head;    /* that is coming */
    bool trailer_seen, calmed;
};

struct world {
    uint64_t seed;
    struct random random;
    carom_service *service;
    struct carom_loop *loop;
    carom_options options;
    bool secure, mixed; /* over TLS; some clients speak HTTP/2 */
    bool on_ring;       /* the handlers are in a VM */
    struct random tls_random;
    bool driven;
    uint64_t clock;  /* as the network has it */
    uint64_t latest; /* how late it came to a turn, at most */
    uint64_t steps, steps_most, turns;
    struct client clients[CLIENTS];
    int client_count, clients_most;
    struct exchange *exchanges;
    uint32_t exchange_count;
    struct exchange *outside[EXCHANGES]; /* in PAUSE_OUTSIDE */
    int outside_count;
    bool watched[CAROM_SIMULATED_WATCHED]; /* descriptors that handlers have */
    uint32_t lent, given_back;
    bool draining, memory_failing, memory_failed, may_drain, ending;
    uint64_t drain_deadline;
    uint32_t overload_seen; /* records in use reached the limit */
    uint64_t answered, answered_well;
};

extern struct world *world;

/* The world fails: say why and end the program; the seed is replayed with its log. */
_Noreturn void world_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A line of the log. */
void world_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern bool world_logs;
#define LOG(...)                                                                                   \
    do {                                                                                           \
        if (world_logs)                                                                            \
            world_log(__VA_ARGS__);                                                                \
    } while (0)

/* The bytes of an exchange's content; response and request differ. */
const char *pattern_of(uint32_t id, bool response);
/* A file of all patterns, which begins with pattern_of(0, false). */
int pattern_file(bool readable);

/* plan.c: the next exchange of a client, its request appended to what the client sends, or given to
 * its session. NULL: no more room. */
struct exchange *plan_exchange(struct client *client);
void client_append(struct client *client, const void *data, size_t length);

/* line.c: listen over TLS; what is to be made once is made, before memory is counted. */
void line_prepare(void);
int line_listen(void);
void line_open(struct client *client);
void line_close(struct client *client);
/* Hands are shaken. */
bool line_is_open(const struct client *client);
/* Go on with what has come. */
void line_turn(struct client *client);
/* Send, with a byte of it changed on the wire when it is `harmed`. */
void line_send(struct client *client, const void *data, size_t length, bool harmed);
void line_finish(struct client *client);
/* The client's bytes that the engine has taken. */
size_t line_taken(struct client *client);
const char *line_received(const struct client *client, size_t *length);

/* client_h2.c: clients that speak HTTP/2. */
#define H2_FIELDS  64
#define H2_PREFACE 24
void client_h2_open(struct client *client);
void client_h2_close(struct client *client);
void client_h2_ask(struct exchange *exchange, const char *const (*fields)[2], size_t count);
bool client_h2_act(struct client *client);
void client_h2_read(struct client *client);
void client_h2_conclude(struct client *client);
/* Half a head is there for longer than is waited for it. */
bool client_h2_too_slow(const struct client *client);
/* Its credit may come late. */
bool client_h2_is_slow(const struct client *client);
/* It is idle for too long. */
bool client_h2_late(const struct client *client);

/* client.c */
void client_connect(void);
/* Send some of what lies up to `most`. */
void client_send_piece(struct client *client, size_t most);
/* Do something; false when there is nothing to do for now. */
bool client_act(struct client *client);
/* After a turn: what has come, and whether what did not come is overdue. */
void client_look(struct client *client);
/* Leave, whatever is still to come. */
void client_give_up(struct client *client);

/* reader.c: look at what has come. */
void client_read(struct client *client);
/* The connection is gone: was that lawful? */
void client_conclude(struct client *client);
/* Heads of answers: informational, the engine's own, the handler's. */
void reader_informational(struct exchange *exchange, const struct head *head);
void reader_refusal(const struct exchange *exchange, const struct head *head);
void reader_answer(const struct exchange *exchange, const struct head *head);

/* handler.c */
void handler_called(carom_record *record, void *data);
/* Go on, from outside of the engine: by a post, or between turns. */
void handler_go_on(struct exchange *exchange);
/* Do not wait any longer. */
void handler_give_up(struct exchange *exchange);
/* After a turn: what should have happened has. */
void handler_look(struct exchange *exchange);
/* Follow the program until it has to wait, or to its end. */
void handler_act(struct exchange *exchange);
void handler_release(struct exchange *exchange);
/* The handler learns that the exchange is over. */
void handler_note_over(struct exchange *exchange);
/* A call's result. False when the handler must not go on as planned. */
bool handler_went_well(struct exchange *exchange, int result);
/* Whether the end of the connection may follow from this exchange. */
bool exchange_ends_connection(const struct exchange *exchange);

/* waiting.c: the wakers of a handler. */
void waiting_called(struct exchange *exchange);
/* Wait for content or room; `collects`: for all content. Sometimes for some time at most. */
void waiting_begin(struct exchange *exchange, carom_edge edge, bool collects);
/* Come back later: by a timer, a post, a call between turns, or a descriptor. */
void waiting_pause(struct exchange *exchange);
/* False when it has ended. */
bool waiting_for_end(struct exchange *exchange);
void waiting_post(struct exchange *exchange);
/* What was waited for has come, or `status` says that it will not. */
void waiting_is_over(struct exchange *exchange, int status);
void waiting_released(struct exchange *exchange);
/* After a turn: nobody waits for what is there. */
void waiting_look(const struct exchange *exchange);

/* watching.c: descriptors of a handler. */
/* Go on when a descriptor is ready. False: all of them are watched. */
bool watching_begin(struct exchange *exchange);
void watching_make_ready(struct exchange *exchange);
void watching_released(struct exchange *exchange);
/* After a turn: nothing is ready that nobody was told of. */
void watching_look(struct exchange *exchange);
void watching_look_at_the_end(void);

/* content.c: what a handler reads, and what it lends. */
/* Read what there is. True at the end; otherwise the handler waits, or is over. */
bool content_read(struct exchange *exchange);
/* What it has in its hands is as it was given. */
void content_check(const struct exchange *exchange);
carom_content content_lend(const struct exchange *exchange, uint32_t length);
void content_given_back(void *owner);

/* times.c: the model of rates and deadlines. */
/* Content is waited for: it was not there. */
void times_wants(struct exchange *exchange);
/* It has come, or is not waited for any more. */
void times_rests(struct exchange *exchange);
/* The handler has given so much of its answer. */
void times_written(struct exchange *exchange, uint32_t offered);
/* Whether the exchange may have ended for this reason. */
bool times_lawful(const struct exchange *exchange, carom_reason reason);
/* After a turn: what had to end by now has ended. */
void times_look(struct exchange *exchange);
void times_look_at_client(const struct client *client);
/* The connection is gone. */
void times_closed(const struct client *client);
/* After a turn, also when more is to be done: what the client takes. */
void times_note(struct client *client);

/* windows.c: what clients of HTTP/2 may send is what they were granted. */
void windows_look(void);

/* innocent.c: who must be answered, whatever the others do. */
#define INNOCENT_TARGET  "/innocent"
#define INNOCENT_CONTENT 5000 /* bytes of its answer */
void innocent_begin(void);
/* A step: sometimes it asks. */
void innocent_acts(void);
/* Nothing else happens: it has its answer. */
void innocent_look(void);

/* vm.c: a VM on a ring, in place of handlers. */
void vm_begin(void);
void vm_end(void);
/* A step of what it does by itself; false when it does nothing, for now (`now`: for ever). */
bool vm_act(bool now);
/* There is something on the ring that the engine has still to see to. */
bool vm_busy(void);
/* After a turn: what it has let go of, and the engine has taken back. */
void vm_look(void);

/* world.c: one run. */
void world_run(uint64_t seed);
/* sockets.c: one run of a world of its own, of WebSockets. */
void sockets_run(uint64_t seed);
/* The records that ended, by reason, and what was done, over all runs. */
extern struct totals {
    uint64_t runs, exchanges, answers, sockets, turns, ended[CAROM_REASON_COUNT];
} totals;

static inline uint64_t world_now(void)
{
    return world->loop->ops->now(world->loop);
}

#endif
