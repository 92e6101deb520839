/* SPDX-License-Identifier: Apache-2.0 */
#include "dial.h"

#define DIAL_FAR_NS UINT64_C(9000000000000)

static uint64_t dial_at(uint64_t base_ns, uint64_t passed_ns, int32_t ppm)
{
	return base_ns + (uint64_t)((int64_t)passed_ns + (int64_t)passed_ns * ppm / 1000000);
}

struct instant dial_read(const struct dial *d, uint64_t true_ns)
{
	uint64_t passed_ns = true_ns - d->base_true_ns;

	return (struct instant) { dial_at(d->base.boot_ns, passed_ns, d->boot_ppm),
		                  dial_at(d->base.raw_ns, passed_ns, d->raw_ppm) };
}

uint64_t dial_unix_ms(const struct dial *d, uint64_t true_ns)
{
	return (uint64_t)(INT64_C(1700000000000) + (int64_t)(true_ns / 1000000) + d->wall_offset_ms);
}

void dial_turn(struct dial *d, uint64_t true_ns, int32_t boot_ppm, int32_t raw_ppm)
{
	d->base = dial_read(d, true_ns);
	d->base_true_ns = true_ns;
	d->boot_ppm = boot_ppm;
	d->raw_ppm = raw_ppm;
}

uint64_t dial_true_ns(const struct dial *d, uint64_t boot_ns)
{
	uint64_t left_ns, true_ns;

	if (boot_ns <= d->base.boot_ns)
		return d->base_true_ns;
	left_ns = boot_ns - d->base.boot_ns;
	if (left_ns > DIAL_FAR_NS)
		left_ns = DIAL_FAR_NS;
	true_ns = d->base_true_ns + left_ns * 1000000 / (uint64_t)(1000000 + d->boot_ppm);
	while (dial_read(d, true_ns).boot_ns < d->base.boot_ns + left_ns)
		true_ns++;
	return true_ns;
}
