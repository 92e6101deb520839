/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One candidacy in one election, whatever the store: what it may believe, what it must do next, what is to be told.
 * PURE: one input in, one change of state, what follows as data out. The store's recipe says what happened there; the
 * client carries out the actions and delivers the notices.
 *
 * Invariants, checked at every step:
 *  E1 belief (deadline_ns > 0) only in LEADING and AT_RISK;
 *  E2 a tenure's deadline only rises, and is 0 for ever once the tenure is over;
 *  E3 every tenure's token is greater than that of every earlier one of this candidacy;
 *  E4 only changes of state_may_change() happen; ENDED is for good.
 *
 * Every input is first held against the clock: at or after the deadline the tenure is over (BY_EXPIRY) before the input
 * is looked at, so that nothing that arrives late revives it (R20). What is late, repeated or about another tenure is
 * ignored. What was granted and is not wanted (any more) is released and never believed.
 *
 * What the store owes: after ELECTOR_DO_RELEASE one ELECTOR_RELEASED (or LOST), also when it is out of reach for good:
 * at the latest when the lease has surely run out. A store that is out of reach when a tenure ends says UNREACHED again
 * afterwards. Joining where it still keeps a place for us, leaving where it has none, and releasing twice are harmless.
 */
#ifndef TENURE_ELECTOR_ELECTOR_H
#define TENURE_ELECTOR_ELECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include <tenure/tenure.h>

enum elector_input_kind {
	ELECTOR_REACHED = 1, /* the store answers: CONNECTING -> WAITING (joins the queue when eligible) */
	ELECTOR_UNREACHED,   /* it does not: only where nothing is led; WAITING, CONTENDING -> CONNECTING */
	ELECTOR_QUEUED,      /* others are before us: CONTENDING -> WAITING */
	ELECTOR_CONTEND,     /* we are next: WAITING -> CONTENDING */
	ELECTOR_GRANTED,     /* token, deadline_ns: CONTENDING (WAITING, CONNECTING) -> LEADING, or STEPPING_DOWN */
	ELECTOR_RENEWED,     /* deadline_ns; a lower one changes nothing; AT_RISK -> LEADING once `notice` lies ahead */
	ELECTOR_LOST,        /* the store says that the tenure is over: cause */
	ELECTOR_RESIGN,      /* by the application, or because it was asked: cause BY_RESIGN or BY_TRANSFER */
	ELECTOR_RELEASED,    /* the store has released what we held: STEPPING_DOWN -> WAITING or ENDED */
	ELECTOR_ELIGIBLE,    /* the health gate opens: joins the queue again */
	ELECTOR_INELIGIBLE,  /* it closes: leaves the queue, or resigns with BY_HEALTH */
	ELECTOR_TICK,        /* time passed: the notice, the expiry */
	ELECTOR_WITHDRAW,    /* the application frees the candidacy: resigns if need be, then ENDED */
	ELECTOR_FAILED,      /* the store can't go on with it: code says why; ENDED after a release if it leads */
};

struct elector_input {
	enum elector_input_kind kind;
	uint64_t now_ns;         /* read after the input's bytes were */
	uint64_t token;          /* GRANTED; RENEWED, LOST, RELEASED: the tenure that is meant, 0: the present one */
	uint64_t deadline_ns;    /* GRANTED, RENEWED */
	enum tenure_cause cause; /* LOST, RESIGN; GRANTED: how it came to us (BY_ELECTION, BY_TRANSFER) */
	int code;                /* FAILED: a negative TENURE_E... */
};

/* What the client must do, in this order. */
enum elector_action {
	ELECTOR_DO_END_PAGE = 1,    /* the tenure's lease page: deadline 0, state; before anything else */
	ELECTOR_DO_OPEN_PAGE = 2,   /* a new tenure: token, deadline */
	ELECTOR_DO_EXTEND_PAGE = 4, /* deadline rose */
	ELECTOR_DO_JOIN = 8,        /* enter the store's queue, at its end */
	ELECTOR_DO_LEAVE = 16,      /* leave the queue */
	ELECTOR_DO_RELEASE = 32,    /* release what the store holds for us, then ELECTOR_RELEASED */
};

struct elector_notice { /* one change of state: an event for the application, a record for the trace */
	enum tenure_state from, to;
	enum tenure_cause cause;
	uint64_t at_ns, token, deadline_ns; /* of the tenure that began, goes on, or just ended */
};

#define ELECTOR_MAX_NOTICES 4

struct elector_output {
	unsigned actions;
	unsigned n_notices;
	struct elector_notice notices[ELECTOR_MAX_NOTICES];
	bool ignored; /* the input does not fit the state (late, repeated): nothing changed */
};

struct elector {
	enum tenure_state state;
	bool once; /* ENDED after the first tenure */
	bool eligible;
	bool withdrawn;            /* ENDED as soon as nothing is held */
	bool joined;               /* in the store's queue: in WAITING and CONTENDING only */
	bool maybe_joined;         /* was, when the store went out of reach: in CONNECTING only */
	bool served;               /* has led */
	enum tenure_cause over_by; /* why it is stepping down */
	uint64_t notice_ns;
	uint64_t token;       /* of the present tenure, or of what is being released; 0: none */
	uint64_t deadline_ns; /* 0: no belief */
	uint64_t last_token;  /* the highest that this candidacy was ever granted, believed or not */
	int end_code;         /* ENDED: 0 (withdrawn, or `once` is done), or the failure */
};

void elector_init(struct elector *e, bool once, uint64_t notice_ns);
/*
 * A GRANTED whose token does not rise is answered as FAILED with TENURE_EPROTO, and so is one with a greater token
 * while an earlier tenure goes on: the store broke its promise (E3). In ENDED a GRANTED is answered with DO_RELEASE
 * alone.
 */
void elector_step(struct elector *e, const struct elector_input *in, struct elector_output *out);
/* When to give the next ELECTOR_TICK: the notice or the deadline; NEVER where there is none. */
uint64_t elector_next_ns(const struct elector *e);

#endif
