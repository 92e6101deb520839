/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chance from a seed alone: xoshiro256** (Blackman, Vigna), seeded by splitmix64. Each part of the simulator has a stream of its own,
 * so that a fault left out does not shift what the others draw. Integers only: the same with every compiler.
 */
#ifndef TENURE_SIM_DICE_H
#define TENURE_SIM_DICE_H

#include <stdbool.h>
#include <stdint.h>

struct dice {
	uint64_t s[4];
};

static inline uint64_t dice_mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static inline void dice_seed(struct dice *d, uint64_t seed, uint64_t stream)
{
	uint64_t x = dice_mix(seed) ^ dice_mix(stream * UINT64_C(0x632be59bd9b4e019) + 1);

	for (unsigned i = 0; i < 4; i++)
		d->s[i] = x = dice_mix(x + i);
}

static inline uint64_t dice_next(struct dice *d)
{
	uint64_t *s = d->s, x = s[1] * 5, result = (x << 7 | x >> 57) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = s[3] << 45 | s[3] >> 19;
	return result;
}

/* 0..n-1; n > 0. */
static inline uint64_t dice_below(struct dice *d, uint64_t n)
{
	return (uint64_t)(((unsigned __int128)dice_next(d) * n) >> 64);
}

static inline uint64_t dice_between(struct dice *d, uint64_t low, uint64_t high)
{
	return low + (high > low ? dice_below(d, high - low + 1) : 0);
}

static inline bool dice_chance(struct dice *d, uint32_t ppm)
{
	return dice_below(d, 1000000) < ppm;
}

/* About exponential. */
static inline uint64_t dice_wait(struct dice *d, uint64_t mean)
{
	uint64_t x = dice_next(d);
	uint64_t halvings = (uint64_t)__builtin_ctzll(x | UINT64_C(1) << 40);

	return mean / 1024 * (709 * halvings + (x >> 48) * 1024 / 65536) + (x >> 48) * (mean % 1024) / 65536;
}

/* A heavy tail: `scale` doubled again and again, at most to `most`. */
static inline uint64_t dice_tail(struct dice *d, uint64_t scale, uint64_t most)
{
	uint64_t x = dice_next(d);
	uint64_t value = (scale << (unsigned)__builtin_ctzll(x | UINT64_C(1) << 24)) + scale * (x >> 48) / 65536;

	return value < most ? value : most;
}

#endif
