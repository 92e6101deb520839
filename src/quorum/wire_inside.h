/* SPDX-License-Identifier: Apache-2.0 */
/* What wire.c and wire_out.c share: how each item lies in a frame. PURE. */
#ifndef TENURE_QUORUM_WIRE_INSIDE_H
#define TENURE_QUORUM_WIRE_INSIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenure/tenure.h>

#include "quorum/wire.h"

/*
 * X(type, bytes, handle, term, strings, what follows handle and term): an item is u8 type, then u32 handle and u64 term where 1 says so, then
 * its other fields. `bytes` is all of it with every byte string empty; "+n" stands for the strings' own bytes. A string
 * is u16 length + bytes, a boolean u8 0 or 1, an id 16 bytes.
 */
#define WIRE_TABLE(X)                                                                                                  \
	X(HELLO, 62, 0, 0, 1,                                                                                          \
	  "u16 proto | id inc | id cluster | label +n | u32 conn_no | bool session | u64 want_sid | u32 ttl_v_ms | "   \
	  "u64 cver")                                                                                                  \
	X(HELLO_R, 77, 0, 0, 1,                                                                                        \
	  "u16 proto | id vid | id cluster | u16 epoch | u32 run | u64 sid | u8 state | u8 refusal | "                 \
	  "u32 max_ttl_ms | u32 max_ttl_v_ms | u32 hold_left_ms | u32 quiet_left_ms | u64 cver | config +n")           \
	X(OPEN, 7, 1, 0, 1, "name +n")                                                                                 \
	X(OPEN_R, 7, 1, 0, 0, "bool ok | u8 reason")                                                                   \
	X(PRE, 13, 1, 1, 0, "")                                                                                        \
	X(PRE_R, 30, 1, 1, 0, "bool would | u32 free_in_ms | u64 holder | u32 waiting_n")                              \
	X(VOTE, 17, 1, 1, 0, "u32 ttl_ms")                                                                             \
	X(RENEW, 17, 1, 1, 0, "u32 ttl_ms")                                                                            \
	X(ATTACH, 21, 1, 1, 0, "u64 sid")                                                                              \
	X(ACK, 19, 1, 1, 0, "u8 of | u32 ttl_ms | u8 cause")                                                           \
	X(ATT_ACK, 21, 1, 1, 0, "u64 sid")                                                                             \
	X(NAK, 39, 1, 1, 0, "u8 of | u8 reason | u64 voted | u64 holder | u32 free_in_ms | u32 waiting_n")             \
	X(SESSION_RENEW, 21, 0, 0, 0, "u64 sid | u32 ttl_ms | u32 attached_n | u32 rtt_us")                            \
	X(S_ACK, 17, 0, 0, 0, "u64 sid | u32 ttl_ms | u32 attached_n")                                                 \
	X(S_NAK, 10, 0, 0, 0, "u64 sid | bool ended")                                                                  \
	X(RELEASE, 17, 1, 1, 1, "bool led | u8 cause | successor +n")                                                  \
	X(REL_OK, 17, 1, 1, 0, "u32 waiting_n")                                                                        \
	X(LIST, 9, 0, 0, 0, "u64 sid")                                                                                 \
	X(LIST_R, 11, 0, 1, 1, "name +n")                                                                              \
	X(WAIT, 15, 1, 0, 0, "u16 priority | u64 ticket_ms")                                                           \
	X(UNWAIT, 5, 1, 0, 0, "")                                                                                      \
	X(QUEUED, 9, 1, 0, 0, "u32 ahead")                                                                             \
	X(NUDGE, 13, 1, 1, 0, "")                                                                                      \
	X(VALUE, 15, 1, 1, 1, "value +n")                                                                              \
	X(VALUE_OK, 13, 1, 1, 0, "")                                                                                   \
	X(ASK, 15, 1, 1, 1, "to +n")                                                                                   \
	X(ASK_OK, 14, 1, 1, 0, "u8 code")                                                                              \
	X(ASKED, 15, 1, 1, 1, "to +n")                                                                                 \
	X(NAMES, 11, 0, 0, 1, "prefix +n | u64 cursor")                                                                \
	X(NAMES_R, 28, 0, 1, 1, "name +n | u8 live | u64 hash | u64 cursor")                                           \
	X(READ, 5, 1, 0, 0, "")                                                                                        \
	X(WATCH, 5, 1, 0, 0, "")                                                                                       \
	X(UNWATCH, 5, 1, 0, 0, "")                                                                                     \
	/* the waiters have no length of their own: they are walked, each u16 label +n | u64 hash | u16 priority */    \
	X(READ_R, 49, 1, 1, 1,                                                                                         \
	  "u64 lt | u8 live | u8 cause | u32 free_in_ms | u64 age_ms | label +n | u64 hash | value +n | "              \
	  "u16 n_waiters | waiters +n")

#define WIRE_WAITER_BYTES 12 /* and its label */

struct wire_form {
	uint8_t bytes; /* 0: no such item */
	uint8_t handle, term, strings;
};

static inline struct wire_form wire_form_of(unsigned type)
{
#define WIRE_X(name, n_bytes, has_handle, has_term, has_strings, rest)                                                 \
	[WIRE_##name] = { n_bytes, has_handle, has_term, has_strings },
	static const struct wire_form forms[WIRE_CFG_ACCEPT] = { WIRE_TABLE(WIRE_X) };
#undef WIRE_X

	return type < WIRE_CFG_ACCEPT ? forms[type] : forms[0];
}

/* The most that each string may have (section 18). Election names are checked for their length alone: what they may consist
 * of is the voter's to judge. */
#define WIRE_LABEL_MAX   NAMES_ID_MAX_BYTES
#define WIRE_NAME_MAX    NAMES_ELECTION_MAX_BYTES
#define WIRE_TO_MAX      (NAMES_IDENTITY_ROOM - 1) /* a label, or an identity */
#define WIRE_VALUE_MAX   QUORUM_VALUE_MAX_BYTES
#define WIRE_CONFIG_MAX  QUORUM_CONFIG_MAX_BYTES
#define WIRE_WAITERS_MAX ((size_t)QUORUM_MAX_WAITERS * (WIRE_WAITER_BYTES + WIRE_LABEL_MAX))

/* How many bytes `n_waiters` encoded waiters at the front of `bytes` take, SIZE_MAX where one of them is malformed or cut. */
size_t wire_waiters_bytes(const uint8_t *bytes, size_t n_bytes, unsigned n_waiters);

/*
 * What an item may say: the decoder's and the encoder's one set of rules, save for booleans, which the decoder must test
 * before they become one. Strings are tested for their lengths.
 */
bool wire_long_good(const struct wire_item *i);

static inline bool wire_item_good(const struct wire_item *i, struct wire_form form)
{
	if (i->term > QUORUM_TERM_MAX)
		return false;
	if (form.strings)
		return wire_long_good(i);
	switch (i->type) {
	case WIRE_ACK:
		return (i->ack.of == WIRE_VOTE || i->ack.of == WIRE_RENEW) && i->ack.cause <= TENURE_BY_HEALTH;
	case WIRE_NAK:
		return i->nak.of >= WIRE_VOTE && i->nak.of <= WIRE_ATTACH && i->nak.reason >= QUORUM_BY_TERM &&
		       i->nak.reason <= QUORUM_BY_LIMIT && i->nak.voted <= QUORUM_TERM_MAX;
	case WIRE_OPEN_R:
		return i->open_r.reason <= QUORUM_BY_LIMIT;
	case WIRE_ASK_OK:
		return i->ask.code <= WIRE_ASK_NOT_LEADING;
	default:
		return true;
	}
}

#endif
