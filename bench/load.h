/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the load programs share: one command line, one way to start together, one JSON result. README.md here describes
 * them; peers/etcd/load.go is the same in Go.
 */
#ifndef TENURE_LOAD_H
#define TENURE_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum load_mode {
	LOAD_CYCLES,   /* N elections at once: release and acquire again, each as fast as it goes */
	LOAD_HANDOVER, /* candidates of one election, each resigning a moment after it was elected */
	LOAD_HOLD,     /* lead N elections and renew */
	LOAD_FAILOVER, /* wait for one election, and lead it until killed */
};

struct load_options {
	enum load_mode mode;
	const char *store, *prefix, *id;
	unsigned elections, sessions, seconds, ttl_ms, hold_us;
};

/* Latencies to 1/32: a bucket is an exponent and the five bits below the leading one. */
#define LOAD_SUB_BITS 5
#define LOAD_BUCKETS  (64u << LOAD_SUB_BITS)

struct load_instants {
	uint64_t *ns;
	size_t n, room;
};

struct load_result {
	uint64_t began_ns, until_ns;        /* the window, on CLOCK_BOOTTIME */
	uint64_t cpu_began_ns;              /* of this process, user and system */
	uint64_t n, max_ns;                 /* cycles (their longest), or elections renewed */
	uint64_t gap_ns, gap_at_ns;         /* the longest silence, and when it was over */
	uint64_t last_ns;                   /* when the latest cycle ended */
	uint64_t lost, ttl_ms;              /* leaderships that ended unasked; the lease as granted */
	uint64_t bucket[LOAD_BUCKETS];      /* latencies of cycles */
	struct load_instants led, resigned; /* hand-overs: merged over processes by whoever started them */
};

/* Exits with a usage message where the command line is wrong. */
void load_parse(struct load_options *options, int argc, char **argv);
/* Writes "NAME-I" into `text`. */
void load_election(const struct load_options *options, unsigned i, char *text, size_t room);

/* One line {"event":WHAT,"at_ns":...} on stdout, at once. */
void load_say(const char *what);
/* Says "ready"; whoever started this program then writes a line to its stdin, to all that shall begin together. */
void load_say_ready(void);
/* Reads that line. False: the input ended, nothing shall begin. */
bool load_read_go(void);

void load_begin(struct load_result *result, const struct load_options *options);
/* A cycle that ended now. Outside of the window nothing is counted. */
void load_cycle(struct load_result *result, uint64_t began_ns, uint64_t now_ns);
/* A silence that is over now; the longest one is kept. */
void load_gap(struct load_result *result, uint64_t since_ns, uint64_t now_ns);
void load_instant(struct load_instants *instants, uint64_t ns);
/* {"event":"result",...}; frees the instants. */
void load_print(struct load_result *result);

#endif
