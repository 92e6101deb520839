/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host's clocks (R2): CLOCK_BOOTTIME and CLOCK_MONOTONIC_RAW, each with an offset and a rate of its own, as functions of
 * true time. Integers only.
 */
#ifndef TENURE_SIM_DIAL_H
#define TENURE_SIM_DIAL_H

#include <stdint.h>

#include "quorum/instant.h"

#define DIAL_FROZEN_PPM (-1000000) /* RAW in suspend */

struct dial {
	uint64_t base_true_ns;
	struct instant base;
	int32_t boot_ppm, raw_ppm; /* off the true rate */
	int64_t wall_offset_ms;
};

struct instant dial_read(const struct dial *d, uint64_t true_ns);
uint64_t dial_unix_ms(const struct dial *d, uint64_t true_ns);
/* Other rates from now on; what was read stays read. */
void dial_turn(struct dial *d, uint64_t true_ns, int32_t boot_ppm, int32_t raw_ppm);
/* The first true time at which BOOTTIME reads at least boot_ns, at present rates; hours away: some time before it. */
uint64_t dial_true_ns(const struct dial *d, uint64_t boot_ns);

#endif
