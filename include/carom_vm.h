/* The VM's side of a ring, for virtual machines that are written in C or can call it.
 *
 * carom_ring.h says what each word of the shared memory means, and a VM may read and write them by
 * itself, as that of JavaScript does. These calls do it for one that would rather not: they own the
 * memory, take news, find the parts of a request, compose messages, and know when to sleep and whom
 * to wake.
 *
 * A VM's calls are made on its own thread, which may be the worker's. A slot is named by its
 * number, and a request in it by the GENERATION that was told with REQUEST.
 */
#ifndef CAROM_VM_H
#define CAROM_VM_H

#include "carom_ring.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A VM's side of one ring, opaque. */
typedef struct carom_vm carom_vm;

/* News of one slot. What it points to is valid until the next carom_vm_next. */
typedef struct carom_vm_event {
    uint32_t slot;       /* its number */
    uint32_t generation; /* of the request in it, for carom_vm_begin */
    uint32_t news;       /* enum carom_ring_news, several at once */
    carom_slice piece;   /* CONTENT: the bytes */
    carom_reason reason; /* ENDED */
    int error;           /* ERROR: a carom_error, negative */
} carom_vm_event;

/* Make a ring and the memory that it shares with its VM; memory for slots is allocated when they
 * are wanted. `options` are those of carom_ring_create. Their `wake` is called when carom_vm_next,
 * having returned false, has news again. Errors: as carom_ring_create. Any thread. */
CAROM_API int carom_vm_create(carom_vm **vm, const carom_ring_options *options);
/* Free a VM's side and its ring, whose service has drained. NULL is allowed. */
CAROM_API void carom_vm_destroy(carom_vm *vm);
/* The ring of a VM's side, for carom_ring_attach, carom_ring_tls, carom_ring_abandon and the other
 * calls on rings. */
CAROM_API carom_ring *carom_vm_ring(const carom_vm *vm);

/* Take the news of the next slot. What was taken before counts as dealt with. False: there are
 * none. The engine then knows that the VM sleeps, and calls `wake` when there are some. */
CAROM_API bool carom_vm_next(carom_vm *vm, carom_vm_event *event);

/* ------------------------------------------------------------------ a request */

/* A word of a slot (enum carom_ring_slot), as the engine wrote it: VERSION, PEER, LOCAL, ... */
CAROM_API uint32_t carom_vm_word(const carom_vm *vm, uint32_t slot, uint32_t word);
/* The method. Valid until RELEASE, as is what the next four give. */
CAROM_API carom_slice carom_vm_method(const carom_vm *vm, uint32_t slot);
/* The target, as sent. */
CAROM_API carom_slice carom_vm_target(const carom_vm *vm, uint32_t slot);
/* What the client would speak after UPGRADE; data is NULL: nothing. */
CAROM_API carom_slice carom_vm_protocol(const carom_vm *vm, uint32_t slot);
/* Field line `index`, in the order received; false behind the last one. */
CAROM_API bool carom_vm_field(const carom_vm *vm, uint32_t slot, uint32_t index,
                              carom_field *field);
/* The content, if all of it came with the head. If not, data is NULL: ask for it by READ, unless
 * carom_vm_content_length is 0. */
CAROM_API carom_slice carom_vm_content(const carom_vm *vm, uint32_t slot);
/* The Content-Length; 0 without content; -1 when only the end will tell. */
CAROM_API int64_t carom_vm_content_length(const carom_vm *vm, uint32_t slot);
/* Trailer line `index`, after CONTENT_END and until the next carom_vm_next; false behind the last.
 */
CAROM_API bool carom_vm_trailer(const carom_vm *vm, uint32_t slot, uint32_t index,
                                carom_field *field);

/* ------------------------------------------------------------------ a message */

/* Begin a message in a slot, with nothing in it but `status` (where a head is sent, else 0).
 * Errors: EAGAIN (the one before has not been taken: ROOM is told when it is; or it was refused,
 * and ERROR is told), ECANCELED (it was released, or carries another request by now). ROOM may be
 * told once too often. */
CAROM_API int carom_vm_begin(carom_vm *vm, uint32_t slot, uint32_t generation, uint32_t status);
/* Add a field to it, before content. Errors: ETOOBIG (it does not fit into the slot), ESTATE (there
 * is content). */
CAROM_API int carom_vm_add_field(carom_vm *vm, uint32_t slot, carom_slice name, carom_slice value);
/* Add content behind the fields; returns how many of the bytes fit into the slot. The rest goes
 * with the next message; or lend all of it (carom_ring_lend). */
CAROM_API size_t carom_vm_add_content(carom_vm *vm, uint32_t slot, const void *data, size_t length);
/* Make a loan the content of the message (carom_ring_lend, carom_ring_lend_file). */
CAROM_API void carom_vm_add_loan(carom_vm *vm, uint32_t slot, uint32_t loan);
/* Add a trailer, behind the content, to a message with END. Errors: ETOOBIG. */
CAROM_API int carom_vm_add_trailer(carom_vm *vm, uint32_t slot, carom_slice name,
                                   carom_slice value);
/* Tell the length of all content, when it comes with later messages; without this call it is
 * unknown. */
CAROM_API void carom_vm_set_length(carom_vm *vm, uint32_t slot, uint64_t length);
/* Set the milliseconds after which TIME is told, in a message with TIMER. */
CAROM_API void carom_vm_set_time(carom_vm *vm, uint32_t slot, uint32_t milliseconds);
/* Hand the message over, with what the VM wants in `flags` (enum carom_ring_flag). After RELEASE
 * the slot is not the VM's any more. If the engine sleeps it is woken, now or at the end of the
 * batch. */
CAROM_API void carom_vm_send(carom_vm *vm, uint32_t slot, uint32_t flags);
/* Take the number of a loan that has come back; -1: there is none. */
CAROM_API int64_t carom_vm_take_return(carom_vm *vm);

#ifdef __cplusplus
}
#endif
#endif
