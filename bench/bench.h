/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs of this folder share: the clock, an end on errors, and a hand-over between two processes. */
#ifndef TENURE_BENCH_H
#define TENURE_BENCH_H

#include <stdint.h>

uint64_t bench_now_ns(void); /* CLOCK_BOOTTIME: the same in every process of this host */
void bench_nap_us(long us);
/* Prints "what: why" and exits 1. */
_Noreturn void bench_die(const char *what, const char *why);
unsigned bench_number(const char *text, unsigned max);

/* One side of a hand-over: what takes leadership (and waits for it), and what gives it up. */
struct bench_side {
	void *(*open)(const char *where, unsigned side);
	void (*acquire)(void *arg);
	void (*release)(void *arg);
	void (*close)(void *arg);
};

/*
 * Two processes take leadership in turn. Prints, one a line, the ns from just before `release` in one to just after
 * `acquire` in the other.
 */
void bench_handover(const struct bench_side *side, const char *where, unsigned n);

#endif
