/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The quorum's frames (PROTOCOL section 5). PURE.
 *
 *	frame  u32 len | u16 magic | u8 version | u8 flags | u64 cver | u32 round | u16 count | items
 *	item   u8 type | its fields in the order of struct wire_item's comment; byte strings as u16 length + bytes
 *
 * Little endian; `len` counts what follows it. One frame from a candidate is one round: its number stands in the header,
 * its send time is the candidate's to remember, and the frames that answer its items bear the same number. What a voter
 * says unasked (NUDGE, ASKED, a later QUEUED, a later READ_R) has round 0. Incarnation and voter id are said once, by
 * HELLO and HELLO_R, and hold for all that follows on that connection (R9); elections are named once, by OPEN, then by a
 * handle of the candidate's choice: dense from 0, and re-opened for another name only after RELEASE or UNWAIT.
 */
#ifndef TENURE_QUORUM_WIRE_H
#define TENURE_QUORUM_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quorum/quorum.h"

#define WIRE_MAGIC           0x7e4e
#define WIRE_VERSION         1
#define WIRE_HEADER_BYTES    22
#define WIRE_FRAME_MAX_BYTES 262144 /* `len` at most: 256 KiB */
#define WIRE_FRAME_MAX_ITEMS 2048

enum wire_type {
	WIRE_HELLO = 1,
	WIRE_HELLO_R,
	WIRE_OPEN,
	WIRE_OPEN_R,
	WIRE_PRE,
	WIRE_PRE_R,
	WIRE_VOTE,
	WIRE_RENEW,
	WIRE_ATTACH,
	WIRE_ACK, /* of VOTE and RENEW */
	WIRE_ATT_ACK,
	WIRE_NAK, /* of VOTE, RENEW, ATTACH */
	WIRE_SESSION_RENEW,
	WIRE_S_ACK,
	WIRE_S_NAK,
	WIRE_RELEASE,
	WIRE_REL_OK,
	WIRE_LIST,
	WIRE_LIST_R, /* one an election; an empty name ends the list */
	WIRE_WAIT,
	WIRE_UNWAIT,
	WIRE_QUEUED,
	WIRE_NUDGE,
	WIRE_VALUE,
	WIRE_VALUE_OK,
	WIRE_ASK,
	WIRE_ASK_OK,
	WIRE_ASKED,
	WIRE_NAMES,
	WIRE_NAMES_R, /* one an election; an empty name ends the page, `cursor` is where the next begins, 0: no more */
	WIRE_READ,
	WIRE_WATCH,
	WIRE_UNWATCH,
	WIRE_READ_R,
	WIRE_CFG_ACCEPT = 64, /* reserved for the change of the voter set */
	WIRE_CFG_ADOPT,
	WIRE_CFG_R,
};

enum wire_session {                    /* HELLO_R */
	            WIRE_SESSION_NONE, /* not asked for */
	            WIRE_SESSION_NEW,
	            WIRE_SESSION_RESUMED,
	            WIRE_SESSION_ENDED,   /* reserved */
	            WIRE_SESSION_REFUSED, /* `refusal` says why; the voter closes after it */
};

enum wire_refusal {
	WIRE_REFUSED_VERSION = 1,
	WIRE_REFUSED_CLUSTER,
	WIRE_REFUSED_CONN_NO,
	WIRE_REFUSED_LIMIT,
	WIRE_REFUSED_DENIED
};

enum wire_live { /* READ_R, PRE_R */
	         WIRE_FREE,
	         WIRE_LIVE,
	         WIRE_UNKNOWN, /* the voter is in its hold (R36) */
};

enum wire_ask { WIRE_ASK_POSTED, WIRE_ASK_NOT_LEADING };

struct wire_bytes { /* borrowed from the frame, or from whoever makes the item */
	const uint8_t *data;
	size_t n;
};

struct wire_hello {
	uint16_t proto;                /* WIRE_VERSION */
	struct quorum_id inc, cluster; /* cluster none: not known yet */
	struct wire_bytes label;
	uint32_t conn_no;
	bool session;
	uint64_t want_sid; /* 0: none */
	uint32_t ttl_v_ms;
	uint64_t cver; /* of the configuration that it knows; 0: none */
};

struct wire_hello_r {
	uint16_t proto;
	struct quorum_id vid, cluster;
	uint16_t epoch;
	uint32_t run;
	uint64_t sid;
	uint8_t state, refusal; /* enum wire_session, enum wire_refusal */
	uint32_t max_ttl_ms, max_ttl_v_ms, hold_left_ms, quiet_left_ms;
	uint64_t cver;
	struct wire_bytes config; /* empty unless newer than the candidate's */
};

struct wire_waiter {
	struct wire_bytes label;
	uint64_t hash;
	uint16_t priority;
};

struct wire_read_r {
	uint64_t term, lt; /* highest voted; of the slot */
	uint8_t live;      /* enum wire_live */
	uint8_t cause;     /* enum tenure_cause of the present state; 0: unknown */
	uint32_t free_in_ms;
	uint64_t age_ms; /* since the slot became its holder's, or free */
	struct wire_bytes label;
	uint64_t hash; /* of the holder */
	struct wire_bytes value;
	uint16_t n_waiters;
	struct wire_bytes waiters; /* encoded: wire_waiter_next(), wire_waiter_put() */
};

struct wire_item {
	uint8_t type;    /* enum wire_type */
	uint32_t handle; /* all that concern one election */
	uint64_t term;
	union {
		struct wire_hello hello;
		struct wire_hello_r hello_r;
		struct { /* OPEN: handle, name */
			struct wire_bytes name;
		} open;
		struct { /* OPEN_R: handle, ok (else denied, or at a limit) */
			bool ok;
			uint8_t reason;
		} open_r;
		/* PRE: handle, term */
		struct { /* PRE_R: handle, term (the highest voted), would, free_in_ms, holder (hash), waiting_n */
			bool would;
			uint32_t free_in_ms, waiting_n;
			uint64_t holder;
		} pre_r;
		struct { /* VOTE (ttl_v), RENEW (ttl): handle, term, ttl_ms */
			uint32_t ttl_ms;
		} lease;
		struct { /* ATTACH, ATT_ACK: handle, term, sid */
			uint64_t sid;
		} attach;
		struct { /* ACK: handle, term, of (WIRE_VOTE or WIRE_RENEW), ttl_ms granted, cause */
			uint8_t of;
			uint8_t cause; /* enum tenure_cause: how the slot came to its holder; 0: not said */
			uint32_t ttl_ms;
		} ack;
		struct
		{ /* NAK: handle, term asked for, of, reason, voted (or the limit), holder, free_in_ms, waiting_n */
			uint8_t of, reason;
			uint64_t voted;
			uint64_t holder;
			uint32_t free_in_ms, waiting_n;
		} nak;
		struct { /* SESSION_RENEW: sid, ttl_ms, attached_n, rtt_us */
			uint64_t sid;
			uint32_t ttl_ms, attached_n, rtt_us;
		} renew;
		struct { /* S_ACK: sid, ttl_ms granted, attached_n; S_NAK: sid, ended (else unknown) */
			uint64_t sid;
			uint32_t ttl_ms, attached_n;
			bool ended;
		} s;
		struct { /* RELEASE: handle, term, led, cause, successor (label, identity, or empty) */
			bool led;
			uint8_t cause; /* enum tenure_cause: why a tenure ended, for READ_R; 0: not said */
			struct wire_bytes successor;
		} release;
		struct { /* REL_OK: handle, term, waiting_n */
			uint32_t waiting_n;
		} rel_ok;
		struct { /* LIST: sid. LIST_R: term, name */
			uint64_t sid;
			struct wire_bytes name;
		} list;
		struct { /* WAIT: handle, priority, ticket_ms. UNWAIT: handle */
			uint16_t priority;
			uint64_t ticket_ms;
		} wait;
		struct { /* QUEUED: handle, ahead (how many are before it) */
			uint32_t ahead;
		} queued;
		/* NUDGE: handle, term */
		struct { /* VALUE: handle, term, value. VALUE_OK: handle, term */
			struct wire_bytes value;
		} value;
		struct { /* ASK: handle, term, to. ASK_OK: handle, term, code. ASKED: handle, term, to */
			struct wire_bytes to;
			uint8_t code;
		} ask;
		struct { /* NAMES: prefix, cursor. NAMES_R: term (lt), name, live, hash, cursor */
			struct wire_bytes name;
			uint64_t cursor;
			uint8_t live;
			uint64_t hash;
		} names;
		/* READ, WATCH, UNWATCH: handle */
		struct wire_read_r read_r;
	};
};

/* ---- writing ---- */

struct wire_out { /* what one connection still has to send; grows, and is used again without allocating */
	uint8_t *data;
	size_t begin, end, room; /* data[begin..end) is to be sent */
	size_t frame;            /* offset of the frame that is open; SIZE_MAX: none */
	unsigned count;          /* its items */
	uint64_t cver;
	uint32_t round;
	bool failed; /* no memory: something is missing, so close the connection */
};

void wire_out_init(struct wire_out *o);
void wire_out_deinit(struct wire_out *o);
/* What follows goes into frames with this header. A frame of another round that is open is closed. */
void wire_out_begin(struct wire_out *o, uint64_t cver, uint32_t round);
/*
 * Into the open frame, or a new one of the same header where that is full. An item that breaks a limit is a defect
 * (CHECK).
 */
void wire_out_put(struct wire_out *o, const struct wire_item *item);
/* Closes the open frame: before the bytes are sent. Empty frames are not sent. */
void wire_out_close(struct wire_out *o);
/* Whole frames only, once closed. */
static inline size_t wire_out_pending(const struct wire_out *o)
{
	return o->end - o->begin;
}
void wire_out_sent(struct wire_out *o, size_t n_bytes);
/* Forgets everything that is not sent: the connection is gone. Keeps the memory. */
void wire_out_reset(struct wire_out *o);

/* ---- reading ---- */

enum wire_result { WIRE_OK = 0, WIRE_MORE = 1, WIRE_END = 2 };

struct wire_frame {
	uint8_t version, flags;
	uint64_t cver;
	uint32_t round;
	uint16_t count;
	const uint8_t *items;
	size_t n_items_bytes;
	/* where wire_frame_item() stands; may be copied and set back */
	size_t at;
	unsigned n_read;
};

/*
 * The frame at the front of `bytes`. WIRE_OK: *n_frame_bytes is its whole length; WIRE_MORE: bytes are missing
 * (*n_frame_bytes is what is needed in all, 0 where not even that is known); TENURE_EPROTO: no frame of ours (magic,
 * length); TENURE_EVERSION: a frame of another version.
 */
int wire_frame_read(struct wire_frame *f, const uint8_t *bytes, size_t n_bytes, size_t *n_frame_bytes);
/* WIRE_OK; WIRE_END after the last; TENURE_EPROTO: malformed (cut, unknown type, field out of range, bytes left). */
int wire_frame_item(struct wire_frame *f, struct wire_item *item);

/* Waiters inside READ_R. `at` begins at 0. WIRE_OK, WIRE_END. The decoder has checked the whole list. */
int wire_waiter_next(const struct wire_read_r *r, size_t *at, struct wire_waiter *w);
/* Appends to `buffer`; returns the new length, or `used` unchanged where it does not fit. */
size_t wire_waiter_put(uint8_t *buffer, size_t used, size_t room, const struct wire_waiter *w);

const char *wire_type_name(unsigned type); /* "VOTE"; "?" */
const char *wire_reason_name(unsigned reason);

#endif
