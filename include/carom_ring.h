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
 * 2: PROTOCOL, LOCAL, SLOT_PROTOCOL, TIMER, files as loans. 3: FETCH, WAITS, and what is added;
 * rooms for content; sockets. */
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
    CAROM_SLOT_PIECE_LENGTH = 13, /* bytes in that page, or in the room */
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
    CAROM_SLOT_ROOM_LOAN = 44, /* READ: 0: the content comes in a page; else into the room that was
                                  lent under this number - 1, and the page has trailers alone. The
                                  loan comes back before CONTENT, CONTENT_END or CONTENT_LOST are
                                  told, or with RELEASE */
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
    CAROM_NEWS_CONTENT = 2,     /* a piece of content lies in a page, until the VM gives it back, or
                                   in the room that was lent for it */
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
    CAROM_FLAG_WAITS = 4096,  /* the engine adds it: the message waits for the client to take what
                                was sent before */
    CAROM_FLAG_FILL = 8192 /* with READ or FETCH into a room: tell CONTENT when that is full, or the
                              content has ended or is lost, and not before */
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

/* ------------------------------------------------------------------ layout: sockets */

/* WebSockets travel through memory of their own, which only a VM that serves some gives
 * (carom_ring_add_sockets): words, then a word for each socket, then two logs of bytes. In `news`
 * the engine tells of sockets, in `messages` the VM asks for something. Positions count bytes from
 * the beginning, wrap at 2^32, and are written by one side only. A socket has a number, which the
 * VM gives it with ACCEPT; it is free again when the VM has heard CLOSED or REFUSED. As both logs
 * are in order, no news and no message can be taken for those of another socket with that number.
 */
enum carom_ring_socket_word {
    CAROM_SOCKETS_NEWS_TAIL = 0,      /* (atomic) the engine has written up to here */
    CAROM_SOCKETS_NEWS_HEAD = 16,     /* (atomic) the VM has read up to here */
    CAROM_SOCKETS_MESSAGES_TAIL = 32, /* (atomic) the VM has written up to here */
    CAROM_SOCKETS_MESSAGES_HEAD = 48, /* (atomic) the engine has read up to here */
    CAROM_SOCKETS_ROOM_WANTED = 64, /* (atomic) the VM writes 1: wake it when MESSAGES_HEAD moves */
    CAROM_SOCKETS_BAD = 80,  /* the engine counts the entries that it could not make sense of */
    CAROM_SOCKETS_MOST = 81, /* sockets at most: their numbers are 1 to this */
    CAROM_SOCKETS_NEWS_SIZE = 82,     /* bytes of the log of news: a power of two */
    CAROM_SOCKETS_MESSAGES_SIZE = 83, /* bytes of the log of messages: a power of two */
    CAROM_SOCKETS_NEWS_BYTE = 84,     /* where the news begin */
    CAROM_SOCKETS_MESSAGES_BYTE = 85, /* where the messages begin */
    CAROM_SOCKETS_LEFT_WORD =
        96, /* (atomic) from here a word for each number: the engine counts
               bytes of messages that have left, or are given up, since ACCEPT */
};

/* An entry of a log: four words, its bytes, and up to ENTRY_ALIGN. Where it would cross the end of
 * the log, an entry of the kind PADDING fills that, and it lies at the beginning. */
enum carom_ring_entry {
    CAROM_ENTRY_SIZE = 0,   /* bytes of the entry, its four words among them */
    CAROM_ENTRY_KIND = 1,   /* a kind, and flags << 16 */
    CAROM_ENTRY_SOCKET = 2, /* the number of a socket */
    CAROM_ENTRY_VALUE = 3,  /* a number, as the kind says */
    CAROM_ENTRY_HEAD = 16,  /* bytes of these words */
    CAROM_ENTRY_ALIGN = 16, /* bytes */
    CAROM_ENTRY_PADDING = 0 /* the kind of an entry that says nothing */
};

/* Kinds of news of sockets. */
enum carom_ring_socket_news {
    CAROM_TOLD_OPENED = 1,  /* it is open. Bytes: the subprotocol. Flag COMPRESSED */
    CAROM_TOLD_TEXT = 2,    /* a message. Value: its length. Bytes: all of it, or its beginning */
    CAROM_TOLD_BINARY = 3,  /* the same */
    CAROM_TOLD_MORE = 4,    /* bytes of the message that the last TEXT or BINARY has begun */
    CAROM_TOLD_DRAINED = 5, /* no more than half of options.write_buffer waits: after flag DRAIN;
                               or no more than was asked for by DRAIN */
    CAROM_TOLD_PING = 6,    /* a ping came, and was answered. Bytes: its own */
    CAROM_TOLD_PONG = 7,    /* a pong came. Bytes: its own */
    CAROM_TOLD_CLOSED = 8,  /* it is over. Value: the code. Bytes: the reason. Flag CLEAN */
    CAROM_TOLD_REFUSED = 9, /* ACCEPT has failed, and the request is answered. Value: carom_error */
    CAROM_TOLD_DROPPED =
        10, /* a message was not sent: over options.write_limit. Value: its length */
    CAROM_TOLD_FAILED = 11, /* the client has broken the protocol or a limit, and is not read any
                               more: CLOSE ends it, behind what is sent before. Value: the code */
};

/* What the VM asks for. */
enum carom_ring_socket_message {
    CAROM_ASK_ACCEPT = 1, /* make the request in a slot a socket with this number. Bytes: the slot,
                             its GENERATION, the number of settings (three words), fields as in a
                             slot. The slot is the engine's with that, and no message may be under
                             way in it */
    CAROM_ASK_TEXT = 2,   /* send a message. Bytes: all of it; or flag LENT */
    CAROM_ASK_BINARY = 3, /* the same */
    CAROM_ASK_CLOSE = 4,  /* carom_websocket_close. Value: the code. Bytes: the reason */
    CAROM_ASK_ABORT = 5,  /* carom_websocket_abort */
    CAROM_ASK_PING = 6,   /* carom_websocket_ping */
    CAROM_ASK_PONG = 7,   /* carom_websocket_pong */
    CAROM_ASK_PAUSE = 8,  /* carom_websocket_pause */
    CAROM_ASK_RESUME = 9, /* carom_websocket_resume */
    CAROM_ASK_SUBSCRIBE = 10,    /* carom_websocket_subscribe. Bytes: the topic */
    CAROM_ASK_UNSUBSCRIBE = 11,  /* carom_websocket_unsubscribe. Bytes: the topic */
    CAROM_ASK_PUBLISH_TEXT = 12, /* carom_websocket_publish; of socket 0, and of one that has ended:
                                    carom_publish. Bytes: the length of the topic (a word), the
                                    topic, the message; or LENT */
    CAROM_ASK_PUBLISH_BINARY = 13, /* the same */
    CAROM_ASK_DRAIN = 14           /* tell DRAINED when no more of its messages than so many bytes
                                      waits, which may be now. Value: these */
};

/* Flags of entries. */
enum carom_ring_entry_flag {
    CAROM_ENTRY_COMPRESSED = 1, /* OPENED: messages may be compressed */
    CAROM_ENTRY_CLEAN = 2,      /* CLOSED: both sides have sent a Close */
    CAROM_ENTRY_LENT = 4,       /* the message is the loan whose number is the value */
    CAROM_ENTRY_DRAIN = 8,      /* TEXT, BINARY: tell DRAINED */
    CAROM_ENTRY_PLAIN = 16,     /* TEXT, BINARY, PUBLISH: it is not compressed */
};

/* Bounds. */
enum carom_ring_socket_bound {
    CAROM_SOCKETS_LEAST_LOG = 4096,      /* bytes of a log */
    CAROM_SOCKETS_MOST_ACCEPT = 8192,    /* bytes of ACCEPT */
    CAROM_SOCKETS_MOST_SETTINGS = 256,   /* settings of a ring */
    CAROM_SOCKETS_MOST_NUMBER = 1048576, /* sockets of a ring */
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

/* Lend room for content, `length` bytes of the VM's, which one message with READ then names
 * (SLOT_ROOM_LOAN). The engine copies content there; the VM leaves it alone until the number comes
 * back. Errors: as carom_ring_lend; EINVAL also for a length of 0 or above 2^32 - 1. The VM's
 * thread. */
CAROM_API int carom_ring_lend_room(carom_ring *ring, uint32_t loan, void *memory, size_t length);

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
/* Let the kernel ask a connection that has been silent for `seconds` whether its peer is still
 * there (SO_KEEPALIVE, TCP_KEEPIDLE; at most 32,767), and reset it if not; 0: it does not ask,
 * which is the default. Done with the next turn; ignored for an unknown number and for Unix
 * sockets. The VM's thread. */
CAROM_API void carom_ring_keep_alive(carom_ring *ring, uint32_t number, uint32_t seconds);
/* How many bytes a connection has received and sent so far, without encryption; 0 for an unknown
 * number. Exact when the VM's thread drives the worker; else as they were when its last request
 * came. The VM's thread. */
CAROM_API void carom_ring_traffic(carom_ring *ring, uint32_t number, uint64_t *received,
                                  uint64_t *sent);

/* How much room sockets have: carom_ring_add_sockets. */
typedef struct carom_ring_socket_options {
    size_t size;            /* sizeof(carom_ring_socket_options) */
    uint32_t sockets;       /* at most, up to CAROM_SOCKETS_MOST_NUMBER */
    uint32_t news_size;     /* bytes of the log of news: a power of two, at least LEAST_LOG */
    uint32_t messages_size; /* the same of the log of messages */
} carom_ring_socket_options;

/* Bytes of the memory for sockets; 0: the options are none. Any thread. */
CAROM_API size_t carom_ring_sockets_size(const carom_ring_socket_options *options);
/* Let the VM serve WebSockets, over `memory`, `size` bytes of the VM's, all zeros, aligned to 8,
 * which must stay until carom_ring_destroy. Errors: EINVAL, ESTATE (the ring is attached to no
 * worker, or has sockets already), ENOMEM. The VM's thread. */
CAROM_API int carom_ring_add_sockets(carom_ring *ring, const carom_ring_socket_options *options,
                                     void *memory, size_t size);
/* Settings for sockets; their number for ACCEPT, or an error. `options` are copied, with their
 * lists; their handlers are the ring's. `pings`, `pongs`: tell the VM of these. Errors: EINVAL,
 * ESTATE (no carom_ring_add_sockets), ETOOBIG (MOST_SETTINGS), ENOMEM. The VM's thread. */
CAROM_API int carom_ring_add_socket_settings(carom_ring *ring,
                                             const carom_websocket_options *options, bool pings,
                                             bool pongs);

/* The VM is going: cancel and release everything it holds, now and in future. Any thread. */
CAROM_API void carom_ring_abandon(carom_ring *ring);

#ifdef __cplusplus
}
#endif
#endif
