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
    CAROM_RING_CAPACITY = 0,       /* slots at most, and entries of each queue: a power of two */
    CAROM_RING_EVENTS_WORD = 1,    /* where the queue of events begins */
    CAROM_RING_COMMANDS_WORD = 2,  /* where the queue of commands begins */
    CAROM_RING_RETURNS_WORD = 3,   /* where the queue of returned loans begins */
    CAROM_RING_PAGES_BYTE = 4,     /* where the pages begin */
    CAROM_RING_BLOCKS_WORD = 5,    /* where a word for each block of slots begins: 1 while the
                                      engine has it */
    CAROM_RING_BAD_COMMANDS = 6,   /* commands that named no slot of the VM's */
    CAROM_RING_PROTOCOL = 7,       /* CAROM_RING_VERSION of the engine */
    CAROM_RING_EVENT_TAIL = 16,    /* (atomic) the engine counts what it has put in */
    CAROM_RING_EVENT_HEAD = 32,    /* (atomic) the VM counts what it has taken out and dealt with:
                                      while that is far behind, connections have further requests
                                      wait. It says so when it is called the next time, at the
                                      latest: it is called for that when somebody waits */
    CAROM_RING_COMMAND_TAIL = 48,  /* (atomic) the VM counts what it has put in */
    CAROM_RING_RETURN_TAIL = 64,   /* (atomic) the engine counts */
    CAROM_RING_ENGINE_ASLEEP = 80, /* (atomic) 1: exchange it for 0 and call carom_ring_wake */
    CAROM_RING_VM_ASLEEP = 96,     /* (atomic) 1: the VM wants options.wake when there are events;
                                      2: it does when what it has answered is on its way */
    CAROM_RING_SLOTS_WANTED = 112, /* (atomic) requests that wait for a slot */
    CAROM_RING_SLOTS = 113,        /* (atomic) slots that the engine has; those of a block that was
                                      just given are not among them yet */
    CAROM_RING_BLOCKS_BACK = 114,  /* (atomic) the engine counts the blocks it has given back */
    CAROM_RING_REFUSED = 115,      /* (atomic) requests of the worker that were answered 503, since
                                      what they needed was taken */
    CAROM_RING_CONNECTION_NEWS = 116, /* (atomic) the engine counts the connections with news, for
                                         carom_ring_take_connection */
    CAROM_RING_PAGES_HELD = 128,    /* (atomic) a word for each page: the engine makes it 1 when it
                                       puts something there for the VM, and the VM 0 when it has
                                       copied that */
    CAROM_RING_CONTROL_WORDS = 144, /* the queues begin here */
};

/* The version of all numbers in this file and of their meaning. It rises with each change. What
 * comes anew is such that a VM of a lower version need not know of it: words and flags that are 0
 * unless it writes them, news that are told only to who asked. Where that cannot be, the number
 * jumps to the next hundred, and a VM of the old hundred must not go on. 1: the first. 2: PROTOCOL,
 * LOCAL, SLOT_PROTOCOL, TIMER, files as loans. */
enum carom_ring_version {
    CAROM_RING_VERSION = 2, /* of this header */
};

/* Sizes in bytes. */
enum carom_ring_size {
    CAROM_RING_SLOT_SIZE = 8192,  /* a slot */
    CAROM_RING_BLOCK_SLOTS = 16,  /* slots of a block */
    CAROM_RING_PAGE_SIZE = 65536, /* a page */
    CAROM_RING_PAGES = 16,     /* pages of a ring, through which content goes to the VM, and heads
                                  that are too long for a slot: never held, but in passing */
    CAROM_RING_LOANS = 262144, /* loans at a time; a power of two */
};

/* ------------------------------------------------------------------ layout: a slot */

/* Words of a slot. The engine writes the first 32, the VM the next 16. */
enum carom_ring_slot {
    CAROM_SLOT_NEWS = 0,          /* (atomic) enum carom_ring_news; the VM exchanges it for 0 */
    CAROM_SLOT_GENERATION = 1,    /* rises each time the slot is given to another request */
    CAROM_SLOT_HEAD_PAGE = 2,     /* 0: the head is in the slot; else the number of its page + 1 */
    CAROM_SLOT_METHOD_LENGTH = 3, /* the head begins with the method */
    CAROM_SLOT_VERSION = 4,       /* 10, 11, 20; + 256 when the client asks for an upgrade; + a
                                     status << 16 when it is no request: see options.watch */
    CAROM_SLOT_TARGET = 5,        /* offset in the head */
    CAROM_SLOT_TARGET_LENGTH = 6, /* in bytes */
    CAROM_SLOT_FIELD_COUNT = 7,   /* of 4 half-words before the head: offset and length of a name,
                                     offset and length of its value */
    CAROM_SLOT_HEAD_LENGTH = 8,   /* in bytes: method, target, fields */
    CAROM_SLOT_LENGTH_LOW = 9,    /* Content-Length; all ones in both: only the end will tell */
    CAROM_SLOT_LENGTH_HIGH = 10,  /* its upper half */
    CAROM_SLOT_CONTENT_HERE = 11, /* bytes of content behind the head; they are all of it */
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

    CAROM_SLOT_FLAGS = 32,  /* (atomic) enum carom_ring_flag: the message; 0 when it was taken */
    CAROM_SLOT_ECHO = 33,   /* the GENERATION that the message is for */
    CAROM_SLOT_STATUS = 34, /* of HEAD, INFORM and UPGRADE */
    CAROM_SLOT_FIELDS_LENGTH = 35, /* bytes of fields at SLOT_OUT; 0 without a head */
    CAROM_SLOT_DATA_LENGTH = 36,   /* bytes of content behind them, or of the loan */
    CAROM_SLOT_DATA_LOAN = 37,     /* 0: in the slot; else the number of the loan + 1 */
    CAROM_SLOT_WHOLE_LOW = 38, /* HEAD without DATA and END: length of content; all ones: unknown */
    CAROM_SLOT_WHOLE_HIGH = 39,   /* its upper half */
    CAROM_SLOT_OUT_TRAILERS = 40, /* bytes of trailers behind the content in the slot */
    CAROM_SLOT_NOTIFY = 41,       /* (atomic) 1: ROOM when the message has been taken */
    CAROM_SLOT_FIELDS_LOAN = 42, /* 0: in the slot; else the number of the loan + 1 where the fields
                                    lie, or of END without HEAD and DATA the trailers. It is given
                                    back as soon as they are read */
    CAROM_SLOT_TIME = 43,        /* TIMER: milliseconds; all ones: never */
};

/* Bytes of a slot. Fields and trailers of the VM are: length of the name (half-word), length of the
 * value (half-word), name, value; without padding. In a loan the lengths are words. Where the first
 * field has no name, its value is the reason phrase (carom_response). */
enum carom_ring_area {
    CAROM_SLOT_IN = 192,   /* field table, head, content; up to SLOT_OUT */
    CAROM_SLOT_OUT = 2048, /* fields, content, trailers; up to the end */
};

/* What the engine tells. */
enum carom_ring_news {
    CAROM_NEWS_REQUEST = 1,     /* the slot carries a new request */
    CAROM_NEWS_CONTENT = 2,     /* a piece of content lies in a page, until the VM gives it back */
    CAROM_NEWS_CONTENT_END = 4, /* that was the last (or there was none) */
    CAROM_NEWS_ROOM = 8,        /* the message was taken */
    CAROM_NEWS_ENDED = 16,      /* the exchange is over: REASON */
    CAROM_NEWS_ERROR = 32,      /* the message was refused: ERROR; nothing of it was sent */
    CAROM_NEWS_CONTENT_LOST = 64, /* no more content will come */
    CAROM_NEWS_TIME = 128         /* the time of TIMER has passed */
};

/* What the VM wants. Of several at once WATCH and TIMER are done first, then the others in this
 * order. */
enum carom_ring_flag {
    CAROM_FLAG_RAW = 1,       /* the response begins, without a head: DATA is bytes as they are */
    CAROM_FLAG_CANCEL = 2,    /* as carom_cancel */
    CAROM_FLAG_INFORM = 4,    /* STATUS and fields: an informational response */
    CAROM_FLAG_UPGRADE = 8,   /* STATUS and fields: take the connection over */
    CAROM_FLAG_HEAD = 16,     /* STATUS and fields: the response begins */
    CAROM_FLAG_DATA = 32,     /* content */
    CAROM_FLAG_END = 64,      /* it ends, with trailers */
    CAROM_FLAG_READ = 128,    /* the next piece of content is wanted */
    CAROM_FLAG_WATCH = 256,   /* tell ENDED; for one that ends badly it is told anyway */
    CAROM_FLAG_RELEASE = 512, /* the slot is the engine's again */
    CAROM_FLAG_TIMER = 1024   /* tell TIME after that many milliseconds, never early, unless the
                                 exchange is cancelled or released first; it takes the place of one
                                 that runs. It runs although the rest of the message waits */
};

/* What is told of a connection, both at once, when it was short. */
enum carom_ring_connection_news {
    CAROM_RING_OPENED = 1, /* it is there, its handshake of TLS done, if it has one */
    CAROM_RING_CLOSED = 2  /* its number stays until carom_ring_forget_connection */
};

/* How a connection ends that the VM wants closed. */
enum carom_ring_close {
    CAROM_CLOSE_IDLE = 1, /* if no request of it is read or in flight */
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
    uint32_t capacity; /* entries of the queues, and slots at most: a power of two, and at least
                          BLOCK_SLOTS */
    size_t memory;     /* bytes of slots at most; 0: as the capacity says. A request that finds so
                          many held is answered 503, and one whose connection has more of them than
                          are left, so that the last ones are for those who have none */
    uint32_t unheard;  /* 256 news that the VM has not dealt with (EVENT_HEAD), requests that wait
                          for a slot included: as long as there are so many, a connection has one
                          request of its own among them, and its others wait */
    void (*wake)(
        void *data); /* VM_ASLEEP was 1 and there are events, or it was 2 (it is 0 now). On the
                        worker's thread, in its turn; it may run the VM there and then */
    void *data;      /* for wake */
    bool watch; /* the VM is told of connections, and of what came on HTTP/1.1 and is no request: it
                   gets a slot, without a method, whose target is what came and which is answered as
                   any other (the connection ends behind it), or released, and the engine answers
                   with the status in VERSION. An Expect that is not 100-continue is for it, too. 16
                   bytes more for each connection, and 64 in a table */
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

/* A connection of which there is news. */
typedef struct carom_ring_connection {
    uint32_t number;     /* as in CAROM_SLOT_CONNECTION: small, and not 0 */
    uint32_t news;       /* enum carom_ring_connection_news */
    carom_address peer;  /* OPENED */
    bool secure;         /* OPENED: over TLS */
    carom_reason reason; /* CLOSED; CLIENT_CLOSED also for one that was idle */
    uint64_t received;   /* CLOSED: bytes, before encryption */
    uint64_t sent;       /* the same */
} carom_ring_connection;

/* Bytes of a control block for so many slots. Any thread. */
CAROM_API size_t carom_ring_control_size(uint32_t capacity);

/* Make a ring over `control`, which is the VM's and lives until carom_ring_destroy; it is all
 * zeros. Errors: EINVAL (the options' size, capacity, memory; size, alignment of 8), ENOMEM. Any
 * thread. */
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

/* Commands are there, and ENGINE_ASLEEP was 1. The VM's thread. */
CAROM_API void carom_ring_wake(carom_ring *ring);
/* Whether there is anything that the engine has not taken: commands, a block, a connection to be
 * closed. The VM's thread, which drives the worker. */
CAROM_API bool carom_ring_has_commands(const carom_ring *ring);

/* Lend bytes of the VM's to the engine under a number below CAROM_RING_LOANS, to be named by one
 * message. They must stay until the number comes back in the queue of returns. What the engine
 * keeps of it is taken for 256 numbers at a time, when the first of them is lent: begin with the
 * low ones. Errors: EINVAL, ESTATE (this number is lent), ENOMEM. The VM's thread. */
CAROM_API int carom_ring_lend(carom_ring *ring, uint32_t loan, const void *data, size_t length);

/* Lend a file, or a part of it, in the same way: `length` bytes from `offset` of a regular file
 * that is open for reading, or CAROM_LENGTH_UNKNOWN for all to its end. It can be named by
 * DATA_LOAN of a whole answer only: HEAD, DATA and END in one message, without trailers (else
 * EINVAL). The descriptor must stay open until the number comes back, and is the VM's to close; all
 * else is as in carom_respond_file, whose errors ERROR may tell. Errors of the call: as
 * carom_ring_lend; EINVAL also for a negative descriptor. The VM's thread. */
CAROM_API int carom_ring_lend_file(carom_ring *ring, uint32_t loan, int descriptor, uint64_t offset,
                                   uint64_t length);

/* What is known of the TLS below the request in a slot, and if `der` is not NULL the client's
 * certificate, as carom_record_tls and carom_record_tls_certificate tell; empty: none. For a slot
 * that the VM holds: it has heard REQUEST and has not sent RELEASE, until when all is valid.
 * Errors: EINVAL (no such slot), ENOENT (plain). The VM's thread. */
CAROM_API int carom_ring_tls(carom_ring *ring, uint32_t slot, carom_tls_info *info,
                             carom_slice *der);

/* Of a ring with options.watch: take the news of one connection; 1, or 0: there is none. OPENED is
 * there before REQUEST of its first request is told; CLOSED comes behind the news of all of its
 * slots, so what stands in the queue of events then is to be taken first. The VM's thread. */
CAROM_API int carom_ring_take_connection(carom_ring *ring, carom_ring_connection *connection);
/* The VM has heard CLOSED, and all that its slots had to tell: the number may be another's. The
 * VM's thread. */
CAROM_API void carom_ring_forget_connection(carom_ring *ring, uint32_t number);
/* Close a connection by its number, or all (0), as `how` says (enum carom_ring_close). Of an
 * unknown one nothing happens. Done behind the commands that are there. The VM's thread. */
CAROM_API void carom_ring_close_connection(carom_ring *ring, uint32_t number, uint32_t how);
/* Bytes of a connection so far, before encryption; 0 of an unknown one. Exact when the VM's thread
 * drives the worker; else as they were when its last request came. The VM's thread. */
CAROM_API void carom_ring_traffic(carom_ring *ring, uint32_t number, uint64_t *received,
                                  uint64_t *sent);

/* The VM is going: cancel and release everything it holds, now and in future. Any thread. */
CAROM_API void carom_ring_abandon(carom_ring *ring);

#ifdef __cplusplus
}
#endif
#endif
