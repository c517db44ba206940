/* The ring: how a virtual machine serves records through shared memory.
 *
 * One ring joins one worker with one thread of a VM. The VM owns all memory of it and gives it to
 * the engine: one *control* block (words, queues, pages) and blocks of *slots*, as many as are
 * wanted; what a burst has left is given back. A slot carries one exchange: the engine writes the
 * request into it, the VM writes the response into it.
 * News travel as slot numbers in two queues, so a whole batch of requests needs one call into the
 * VM, and its answers none out of it. docs/bindings/guide.md explains the protocol.
 *
 * What the VM writes is never trusted: it is read once, checked, and a wrong value becomes an ERROR
 * event or is counted in BAD_COMMANDS. The engine keeps its own state elsewhere.
 *
 * All numbers are 32-bit words in the byte order of the machine. Offsets named *_WORD count words,
 * *_BYTE count bytes. Words marked (atomic) are read and written by both sides at any time.
 */
#ifndef CAROM_RING_H
#define CAROM_RING_H

#include "carom.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------ layout: the control block */

/* Words of the control block. Each that is written often has a cache line (16 words) of its own. */
enum carom_ring_control {
    CAROM_RING_CAPACITY = 0,      /* slots at most, and entries of each queue: a power of two */
    CAROM_RING_EVENTS_WORD = 1,   /* where the queue of events begins */
    CAROM_RING_COMMANDS_WORD = 2, /* where the queue of commands begins */
    CAROM_RING_RETURNS_WORD = 3,  /* where the queue of returned loans begins */
    CAROM_RING_PAGES_BYTE = 4,    /* where the pages begin */
    CAROM_RING_BLOCKS_WORD = 5,   /* where a word for each block of slots begins: 1 while the
                                     engine has it */
    CAROM_RING_BAD_COMMANDS = 6,  /* the engine counts the commands for a slot, or for a request in
                                     it, that the VM does not hold */
    CAROM_RING_PROTOCOL = 7,      /* CAROM_RING_VERSION of the engine */
    CAROM_RING_EVENT_TAIL = 16,   /* (atomic) the engine counts the events that it has put in */
    CAROM_RING_EVENT_HEAD =
        32, /* (atomic) the VM counts the events it has taken out and dealt with. While many are
               not, requests wait (options.unheard): the VM is called for that, and must have
               written this when it is called again */
    CAROM_RING_COMMAND_TAIL = 48,  /* (atomic) the VM counts the commands that it has put in */
    CAROM_RING_RETURN_TAIL = 64,   /* (atomic) the engine counts the loans that it has given back */
    CAROM_RING_ENGINE_ASLEEP = 80, /* (atomic) 1: the engine sleeps. The VM exchanges this for 0,
                                      and calls carom_ring_wake if it was 1 */
    CAROM_RING_VM_ASLEEP = 96,     /* (atomic) 1: the engine is to call options.wake when there are
                                      events; 2: when what the VM has answered is on its way */
    CAROM_RING_SLOTS_WANTED = 112, /* (atomic) requests that wait for a slot */
    CAROM_RING_SLOTS = 113,        /* (atomic) slots that the engine has; those of a block that was
                                      just given are not among them yet */
    CAROM_RING_BLOCKS_BACK = 114,  /* (atomic) the engine counts the blocks it has given back */
    CAROM_RING_REFUSED = 115, /* (atomic) requests of the worker that were answered 503, because
                                 there was no slot for them, or too many were in flight */
    CAROM_RING_CONNECTION_NEWS = 116, /* (atomic) the engine counts the connections that have news
                                         for carom_ring_take_connection */
    CAROM_RING_PAGES_HELD =
        128, /* (atomic) a word for each page: the engine writes 1 when it has put something there
                for the VM, the VM 0 when it has copied that */
    CAROM_RING_CONTROL_WORDS = 144, /* the queues begin here */
};

/* The version of all numbers in this file and of their meaning. It rises with each change. An
 * addition leaves a VM of a lower version as it was: new words and flags are 0 unless the VM writes
 * them, and new kinds of news are told only to a VM that has asked for them. Where that cannot be,
 * the number jumps to the next hundred, and a VM of the old hundred must not go on. 1: the first.
 * 2: PROTOCOL, LOCAL, SLOT_PROTOCOL, TIMER, files as loans. 3: FETCH, WAITS, and what is added. */
enum carom_ring_version {
    CAROM_RING_VERSION = 3, /* of this header */
};

/* Sizes in bytes. */
enum carom_ring_size {
    CAROM_RING_SLOT_SIZE = 8192,  /* a slot */
    CAROM_RING_BLOCK_SLOTS = 16,  /* slots of a block */
    CAROM_RING_PAGE_SIZE = 65536, /* a page */
    CAROM_RING_PAGES = 16, /* pages of a ring, for content and for heads too long for a slot: the VM
                              copies what is there and gives the page back at once */
    CAROM_RING_LOANS = 262144, /* the most loans at one time; a power of two */
};

/* ------------------------------------------------------------------ layout: a slot */

/* Words of a slot. The engine writes the first 32, the VM the next 16. */
enum carom_ring_slot {
    CAROM_SLOT_NEWS = 0,          /* (atomic) enum carom_ring_news; the VM exchanges it for 0 */
    CAROM_SLOT_GENERATION = 1,    /* rises each time the slot is given to another request */
    CAROM_SLOT_HEAD_PAGE = 2,     /* 0: the head is in the slot; else the number of its page + 1 */
    CAROM_SLOT_METHOD_LENGTH = 3, /* in bytes; the head begins with the method */
    CAROM_SLOT_VERSION = 4, /* 10, 11 or 20 (HTTP/2); + 256 when the client asks for an upgrade; + a
                               status << 16 when the slot carries no request: see options.watch */
    CAROM_SLOT_TARGET = 5,  /* offset in the head */
    CAROM_SLOT_TARGET_LENGTH = 6, /* in bytes */
    CAROM_SLOT_FIELD_COUNT = 7,   /* how many entries lie before the head, of 4 half-words each:
                                     offset and length of a name, offset and length of its value */
    CAROM_SLOT_HEAD_LENGTH = 8,   /* in bytes: method, target, fields */
    CAROM_SLOT_LENGTH_LOW = 9,    /* Content-Length; all ones in both: unknown before the end */
    CAROM_SLOT_LENGTH_HIGH = 10,  /* its upper half */
    CAROM_SLOT_CONTENT_HERE = 11, /* bytes of content behind the head, if all came with it */
    CAROM_SLOT_PIECE_PAGE = 12,   /* CONTENT, CONTENT_END: the number of the page + 1; 0: none */
    CAROM_SLOT_PIECE_LENGTH = 13, /* in bytes */
    CAROM_SLOT_TRAILERS_LENGTH =
        14,                     /* CONTENT_END: bytes of trailers in that page, behind the piece */
    CAROM_SLOT_REASON = 15,     /* ENDED: carom_reason; of what is no request, why it is none */
    CAROM_SLOT_SENT_LOW = 16,   /* ENDED: bytes of content sent */
    CAROM_SLOT_SENT_HIGH = 17,  /* their upper half */
    CAROM_SLOT_ERROR = 18,      /* ERROR: a carom_error */
    CAROM_SLOT_PEER = 19,       /* carom_family, port << 16 */
    CAROM_SLOT_ADDRESS = 20,    /* 4 words: the peer's address in network byte order */
    CAROM_SLOT_CONNECTION = 24, /* the number of its connection, for a ring with options.watch */
    CAROM_SLOT_LOCAL = 25,      /* the local address, as PEER and ADDRESS: 5 words */
    CAROM_SLOT_PROTOCOL = 30,   /* what the client would speak after UPGRADE: offset in the head,
                                   length << 16; 0: nothing, or a plain tunnel (CONNECT). Of HTTP/1.1
                                   the Upgrade field, of HTTP/2 :protocol (RFC 8441, 4) */

    CAROM_SLOT_FLAGS = 32,  /* (atomic) enum carom_ring_flag: the VM writes what it wants, last of
                               all, and the engine makes it 0 when it has taken the message */
    CAROM_SLOT_ECHO = 33,   /* the GENERATION that the message is for */
    CAROM_SLOT_STATUS = 34, /* of HEAD, INFORM and UPGRADE */
    CAROM_SLOT_FIELDS_LENGTH = 35, /* bytes of fields at SLOT_OUT; 0 without a head */
    CAROM_SLOT_DATA_LENGTH = 36,   /* bytes of content behind them, or of the loan */
    CAROM_SLOT_DATA_LOAN = 37,     /* 0: in the slot; else the number of the loan + 1 */
    CAROM_SLOT_WHOLE_LOW =
        38, /* HEAD: length of all content; all ones: unknown, always so with END */
    CAROM_SLOT_WHOLE_HIGH = 39,   /* its upper half */
    CAROM_SLOT_OUT_TRAILERS = 40, /* bytes of trailers behind the content in the slot */
    CAROM_SLOT_NOTIFY = 41,       /* (atomic) 1: tell ROOM when the message has been taken */
    CAROM_SLOT_FIELDS_LOAN = 42, /* 0: the fields are in the slot; else they are in the loan of this
                                    number - 1. For END without HEAD and DATA, where the trailers
                                    are. The loan is given back as soon as they are read */
    CAROM_SLOT_TIME = 43,        /* TIMER: milliseconds; all ones: never */
};

/* Bytes of a slot. Fields and trailers of the VM are: length of the name (half-word), length of the
 * value (half-word), name, value; without padding. In a loan the lengths are words. Where the first
 * field has no name, its value is the reason phrase (carom_response). */
enum carom_ring_area {
    CAROM_SLOT_IN = 192,   /* field table, head, content; up to SLOT_OUT */
    CAROM_SLOT_OUT = 2048, /* fields, content, trailers; up to the end */
};

/* What the engine tells the VM of a slot. */
enum carom_ring_news {
    CAROM_NEWS_REQUEST = 1,     /* the slot carries a new request */
    CAROM_NEWS_CONTENT = 2,     /* a piece of content lies in a page, until the VM gives it back */
    CAROM_NEWS_CONTENT_END = 4, /* no content follows: the piece was the last, or there is none */
    CAROM_NEWS_ROOM = 8,        /* the message was taken */
    CAROM_NEWS_ENDED = 16,      /* the exchange is over: REASON */
    CAROM_NEWS_ERROR = 32, /* the message was refused: ERROR; nothing of it was sent, or, where only
                              its trailers were bad, all before them */
    CAROM_NEWS_CONTENT_LOST = 64, /* no more content will come */
    CAROM_NEWS_TIME = 128         /* the time of TIMER has passed */
};

/* What the VM asks of the engine in a message. Of several flags at once WATCH and TIMER are done
 * first, then the others in this order. FETCH and CANCEL may be added to a message that is there,
 * by an atomic OR. The slot is put into the queue of commands then if FLAGS were 0, or had WAITS
 * and neither FETCH nor CANCEL. */
enum carom_ring_flag {
    CAROM_FLAG_RAW = 1,       /* the response begins, without a head: DATA is bytes as they are */
    CAROM_FLAG_CANCEL = 2,    /* as carom_cancel */
    CAROM_FLAG_INFORM = 4,    /* STATUS and fields: an informational response */
    CAROM_FLAG_UPGRADE = 8,   /* STATUS and fields: take the connection over */
    CAROM_FLAG_HEAD = 16,     /* STATUS and fields: the response begins */
    CAROM_FLAG_DATA = 32,     /* content */
    CAROM_FLAG_END = 64,      /* it ends, with trailers */
    CAROM_FLAG_READ = 128,    /* the next piece of content is wanted */
    CAROM_FLAG_WATCH = 256,   /* tell ENDED also of an exchange that ends well */
    CAROM_FLAG_RELEASE = 512, /* give the slot back to the engine */
    CAROM_FLAG_TIMER = 1024,  /* tell TIME after SLOT_TIME milliseconds, never early, unless the
                                 exchange is cancelled or released first. It replaces a running timer
                                 of the slot, and starts even if the rest of the message waits */
    CAROM_FLAG_FETCH = 2048,  /* as READ, also while the rest of the message waits */
    CAROM_FLAG_WAITS = 4096 /* the engine adds it: the message waits for the client to take what was
                               sent before */
};

/* The news of a connection; both at once, if it has closed before the VM asked. */
enum carom_ring_connection_news {
    CAROM_RING_OPENED = 1, /* it has opened and, with TLS, finished its handshake */
    CAROM_RING_CLOSED = 2  /* it has closed; its number stays until carom_ring_forget_connection */
};

/* How carom_ring_close_connection closes a connection. */
enum carom_ring_close {
    CAROM_CLOSE_IDLE = 1, /* close it only if no request of it is being read or in flight */
    CAROM_CLOSE_NOW = 2,  /* what was answered before is sent as far as the client takes it at once,
                             then FIN; what is in flight is cancelled */
    CAROM_CLOSE_RESET = 3 /* the same, with a reset */
};

/* ------------------------------------------------------------------ the engine's side */

/* A ring, opaque. */
typedef struct carom_ring carom_ring;

/* How a ring is made. Start from CAROM_RING_OPTIONS_INIT, or all zeros and `size`. */
typedef struct carom_ring_options {
    size_t size;       /* set by CAROM_RING_OPTIONS_INIT: sizeof(carom_ring_options) */
    uint32_t capacity; /* entries of each queue, and slots at most: a power of two, and at least
                          BLOCK_SLOTS */
    size_t memory;     /* the most bytes of slots; 0: as many as the capacity allows. A request that
                          finds all of them held is answered 503. So is one whose connection holds more
                          slots than are left: the last slots are for connections that have none */
    uint32_t unheard;  /* the limit, 256 if 0, of news that the VM has not dealt with (EVENT_HEAD)
                          and requests that wait for a slot. While there are as many, each connection
                          may have one request among them, and its others wait */
    void (*wake)(void *data); /* called on the worker's thread, in its turn, when VM_ASLEEP was 1
                                 and there are events, or when it was 2; it is 0 by then. It may run
                                 the VM there and then */
    void *data;               /* for wake */
    bool watch; /* tell the VM of connections, as carom_ring_take_connection says, and of what came
                   on HTTP/1.1 and is no request. That gets a slot without a method, whose target is
                   the bytes that came and whose VERSION has the status for it. The VM answers it as
                   any other, after which the connection ends; or releases it, and the engine
                   answers with that status. An Expect that is not 100-continue is left to the VM,
                   too. It costs 16 bytes more for each connection, and 64 in a table */
} carom_ring_options;

/* Options of a ring that lack a capacity and `wake`, as an initializer. */
#ifdef __cplusplus
#define CAROM_RING_OPTIONS_INIT carom_ring_options_init()
/* Options of a ring that lack a capacity and `wake`. Any thread. */
static inline carom_ring_options carom_ring_options_init()
{
    carom_ring_options options = carom_ring_options();
    options.size = sizeof options;
    return options;
}
#else
#define CAROM_RING_OPTIONS_INIT                                                                    \
    {                                                                                              \
        .size = sizeof(carom_ring_options)                                                         \
    }
#endif

/* A connection of which there is news. Start from CAROM_RING_CONNECTION_INIT. */
typedef struct carom_ring_connection {
    size_t size;         /* set by CAROM_RING_CONNECTION_INIT: sizeof(carom_ring_connection) */
    uint32_t number;     /* as in CAROM_SLOT_CONNECTION: small, and not 0 */
    uint32_t news;       /* enum carom_ring_connection_news */
    carom_address peer;  /* OPENED */
    bool secure;         /* OPENED: over TLS */
    carom_reason reason; /* CLOSED; CLIENT_CLOSED also for one that was idle */
    uint64_t received;   /* CLOSED: bytes received, after decryption */
    uint64_t sent;       /* CLOSED: bytes sent, before encryption */
} carom_ring_connection;

/* A connection that carom_ring_take_connection can fill, as an initializer. */
#ifdef __cplusplus
#define CAROM_RING_CONNECTION_INIT carom_ring_connection_init()
/* A connection that carom_ring_take_connection can fill. Any thread. */
static inline carom_ring_connection carom_ring_connection_init()
{
    carom_ring_connection connection = carom_ring_connection();
    connection.size = sizeof connection;
    return connection;
}
#else
#define CAROM_RING_CONNECTION_INIT                                                                 \
    {                                                                                              \
        .size = sizeof(carom_ring_connection)                                                      \
    }
#endif

/* Bytes of a control block for so many slots. Any thread. */
CAROM_API size_t carom_ring_control_size(uint32_t capacity);

/* Make a ring over `control`, `size` bytes of the VM's, all zeros, which must stay until
 * carom_ring_destroy. Errors: EINVAL (the options' size, capacity, memory; size, alignment of 8),
 * ENOMEM. Any thread. */
CAROM_API int carom_ring_create(carom_ring **ring, const carom_ring_options *options, void *control,
                                size_t size);
/* Free a ring whose service has drained. NULL is allowed. */
CAROM_API void carom_ring_destroy(carom_ring *ring);

/* Give block `block` of slots: BLOCK_SLOTS of SLOT_SIZE bytes, all zeros, aligned to 8. They stay
 * until the engine gives them back, or until carom_ring_destroy. Its first slot has the number
 * block * BLOCK_SLOTS. Errors: EINVAL, ETOOBIG (no block has that number: options.memory), ESTATE
 * (the engine has it), ENOMEM. The VM's thread; when the worker may sleep call carom_ring_wake
 * after it. */
CAROM_API int carom_ring_add_block(carom_ring *ring, uint32_t block, void *memory);

/* Join a ring with worker `worker` of a service that does not run yet, whose handler
 * calls carom_ring_handle and whose record_state is at least the size of a pointer. Errors: EINVAL
 * (no such worker, heads may be longer than a page), ESTATE. */
CAROM_API int carom_ring_attach(carom_ring *ring, carom_service *service, uint32_t worker);

/* The handler of a service with rings: puts the record into the ring of its worker. */
CAROM_API void carom_ring_handle(carom_record *record, void *data);

/* Wake the engine: the VM has put commands in, and ENGINE_ASLEEP was 1. The VM's thread. */
CAROM_API void carom_ring_wake(carom_ring *ring);
/* Whether there is anything that the engine has not taken: commands, a block, a page or events that
 * were heard for which somebody waits, a connection to be closed. The VM's thread, which must be
 * the one that drives the worker. */
CAROM_API bool carom_ring_has_commands(const carom_ring *ring);

/* Lend bytes of the VM's to the engine under a number below CAROM_RING_LOANS, which one message
 * then names. They must stay as they are until the number comes back in the queue of returns. The
 * engine allocates its notes of loans for 256 numbers at a time, when the first of them is lent, so
 * use the low numbers first. Errors: EINVAL, ESTATE (this number is lent), ENOMEM. The VM's thread.
 */
CAROM_API int carom_ring_lend(carom_ring *ring, uint32_t loan, const void *data, size_t length);

/* Lend a file, or a part of it, in the same way: `length` bytes from `offset` of a regular file
 * that is open for reading, or CAROM_LENGTH_UNKNOWN for all to its end. It can be named by
 * DATA_LOAN of a whole answer only: HEAD, DATA and END in one message, without trailers (else
 * EINVAL). The descriptor must stay open until the number comes back, and is the VM's to close; all
 * else is as in carom_respond_file, whose errors ERROR may tell. Errors of the call: as
 * carom_ring_lend; EINVAL also for a negative descriptor. The VM's thread. */
CAROM_API int carom_ring_lend_file(carom_ring *ring, uint32_t loan, int descriptor, uint64_t offset,
                                   uint64_t length);

/* Fill `info` with what is known of the TLS on the connection of a slot's request, and `der`, if it
 * is not NULL, with the client's certificate (empty: it showed none), as carom_record_tls and
 * carom_record_tls_certificate do. The VM must hold the slot: it has heard REQUEST and has not sent
 * RELEASE, until which all texts are valid. Errors: EINVAL (no such slot), ENOENT (no TLS). The
 * VM's thread. */
CAROM_API int carom_ring_tls(carom_ring *ring, uint32_t slot, carom_tls_info *info,
                             carom_slice *der);

/* Take the news of one connection, of a ring with options.watch; 1, or 0: there is none. OPENED is
 * there before REQUEST of its first request is told. CLOSED comes after the news of all of its
 * slots, so take what is in the queue of events before you act on it. What the library that runs
 * does not tell is 0. Errors: EINVAL (connection->size is not set), and no news is taken. The VM's
 * thread. */
CAROM_API int carom_ring_take_connection(carom_ring *ring, carom_ring_connection *connection);
/* Let the number of a connection be given to another one: the VM has heard CLOSED, and all news of
 * its slots. The VM's thread. */
CAROM_API void carom_ring_forget_connection(carom_ring *ring, uint32_t number);
/* Close the connection of a number, or all (0), as `how` says (enum carom_ring_close), after the
 * commands that are there. An unknown number is ignored. The VM's thread. */
CAROM_API void carom_ring_close_connection(carom_ring *ring, uint32_t number, uint32_t how);
/* How many bytes a connection has received and sent so far, without encryption; 0 for an unknown
 * number. Exact when the VM's thread drives the worker; else as they were when its last request
 * came. The VM's thread. */
CAROM_API void carom_ring_traffic(carom_ring *ring, uint32_t number, uint64_t *received,
                                  uint64_t *sent);

/* The VM is going: cancel and release everything it holds, now and in future. Any thread. */
CAROM_API void carom_ring_abandon(carom_ring *ring);

#ifdef __cplusplus
}
#endif
#endif
