/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP connections and listeners on a loop: non-blocking, no delay (TCP_NODELAY), close-on-exec. Bytes are read as they
 * come and written at once as far as the kernel takes them; who has more waits for `writable`. One read and one write
 * for a whole batch: up to LOOP_SCRATCH_BYTES are read at once and given without a copy; answer them all, then send
 * once. A peer that has said all it had to say (a half-closed connection) is over, once all of that was given.
 */
#ifndef TENURE_LOOP_STREAM_H
#define TENURE_LOOP_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenure/tenure.h>

#include "loop/loop.h"

#define STREAM_ADDRESS_ROOM 264 /* "[host]:port" and the terminator */

struct stream;
struct stream_listener;

/* Called on the loop thread, between the loop's `before` and `after`. Each may free the stream. */
struct stream_ops {
	void (*opened)(void *arg); /* of stream_connect(): the connection stands */
	/*
	 * Bytes came: all that is not consumed yet, from the first. The callback says how many it has consumed; the rest
	 * is given again, with what comes after it. It reads the clock itself, now: the bytes have been read.
	 */
	size_t (*bytes)(void *arg, const uint8_t *bytes, size_t n_bytes);
	void (*writable)(void *arg); /* after stream_send() took less than was given */
	/* It is over: by the peer, or an error that `error` explains. Nothing is called after it; free the stream. */
	void (*closed)(void *arg, const struct tenure_error *error);
};

/*
 * Begins to connect to "host:port" or "[v6]:port"; names are resolved without blocking. `default_port` where none is
 * given. 0; TENURE_EURL (malformed), TENURE_ENOMEM, TENURE_ELIMIT. What fails later comes through `closed`.
 */
int stream_connect(struct stream **out, struct loop *l, const char *address, uint16_t default_port,
                   const struct stream_ops *ops, void *arg, struct tenure_error *error);
/*
 * In a forked child, which must not keep the connection open after its parent's end: closes the descriptor, nothing
 * else.
 */
void stream_forked(struct stream *s);
void stream_free(struct stream *s); /* closes; NULL is allowed; from any callback of it too */
/*
 * Writes what the kernel takes now; the number of bytes, less than given when it is full (then `writable` follows).
 * After an error `closed` follows and 0 is returned.
 */
size_t stream_send(struct stream *s, const uint8_t *bytes, size_t n_bytes);
/*
 * Reads no more, so that the peer has to wait, until it is switched on again; what was read and not consumed is then
 * given anew.
 */
void stream_pause(struct stream *s, bool paused);
/*
 * Memory that what was read and not consumed takes: at most 2 * LOOP_SCRATCH_BYTES, then `closed` follows
 * (TENURE_EPROTO).
 */
size_t stream_kept_bytes(const struct stream *s);
/* "127.0.0.1:41522", for messages; of stream_connect(): as it was asked for. Borrowed. */
const char *stream_peer_name(const struct stream *s);
int stream_fd(const struct stream *s);

/* `accepted` takes the stream: it must give it its ops with stream_take() at once, or free it. */
typedef void stream_accepted_fn(void *arg, struct stream *s);
void stream_take(struct stream *s, const struct stream_ops *ops, void *arg);
/*
 * Listens. "host:port"; port 0: the kernel picks (stream_listener_name() tells). 0; TENURE_EURL, TENURE_EIO (in use,
 * denied), TENURE_ELIMIT, TENURE_ENOMEM.
 */
int stream_listen(struct stream_listener **out, struct loop *l, const char *address, uint16_t default_port,
                  stream_accepted_fn *accepted, void *arg, struct tenure_error *error);
/* Out of descriptors or memory: it accepts nothing for a moment and `trouble` is told, with NULL when it is over. */
typedef void stream_trouble_fn(void *arg, const struct tenure_error *error);
void stream_listener_on_trouble(struct stream_listener *l, stream_trouble_fn *trouble);
void stream_listener_free(struct stream_listener *l); /* not from `accepted` */
const char *stream_listener_name(const struct stream_listener *l);

/*
 * A listening descriptor for others than this file, close-on-exec and non-blocking, and its name. Resolves blocking.
 * The codes of stream_listen().
 */
int stream_bind(int *fd, char name[STREAM_ADDRESS_ROOM], const char *address, uint16_t default_port,
                struct tenure_error *error);

/* Splits "host:port", "[v6]:port", "host". false: malformed. PURE. */
bool stream_split_address(const char *address, uint16_t default_port, char host[STREAM_ADDRESS_ROOM], uint16_t *port);
/* Is it a loopback address as written (127/8, ::1, localhost)? */
bool stream_is_loopback(const char *address);

#endif
