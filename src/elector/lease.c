/* SPDX-License-Identifier: Apache-2.0 */
#include "elector/lease.h"

#include "base/buf.h"
#include "base/text.h"

#define LEASE_PPM 1000000u

/* A sum of finite spans stays finite: saturating at NEVER would turn a lease that ends into one that never does. */
static uint64_t lease_add(uint64_t a_ns, uint64_t b_ns)
{
	uint64_t most = LEASE_NS_NEVER - 1;

	return a_ns > most || b_ns > most - a_ns ? most : a_ns + b_ns;
}

static uint64_t lease_before(uint64_t instant_ns, uint64_t span_ns)
{
	if (instant_ns == LEASE_NS_NEVER)
		return LEASE_NS_NEVER;
	return instant_ns > span_ns ? instant_ns - span_ns : 0;
}

uint64_t lease_allowance_ns(uint64_t ttl_ns, uint32_t rate_error_ppm)
{
	uint64_t slow, fast, scaled;

	if (ttl_ns == LEASE_NS_NEVER)
		return LEASE_NS_NEVER;
	if (rate_error_ppm >= LEASE_PPM)
		return 0;
	slow = LEASE_PPM - rate_error_ppm;
	fast = LEASE_PPM + rate_error_ppm;
	/* ttl = n * fast + rest, so this is exactly floor(ttl * slow / fast), and no product exceeds 64 bits */
	scaled = ttl_ns / fast * slow + ttl_ns % fast * slow / fast;
	return scaled > LEASE_GRANULARITY_NS ? scaled - LEASE_GRANULARITY_NS : 0;
}

uint64_t lease_provable_end_ns(uint64_t sent_ns, uint64_t ttl_ns, uint32_t rate_error_ppm)
{
	if (ttl_ns == LEASE_NS_NEVER)
		return LEASE_NS_NEVER;
	return lease_add(sent_ns, lease_allowance_ns(ttl_ns, rate_error_ppm));
}

uint64_t lease_deadline_ns(uint64_t provable_end_ns, uint64_t kill_margin_ns)
{
	return lease_before(provable_end_ns, kill_margin_ns);
}

uint64_t lease_soft_stop_ns(uint64_t deadline_ns, uint64_t grace_ns)
{
	return lease_before(deadline_ns, grace_ns);
}

uint64_t lease_default_grace_ns(uint64_t ttl_ns)
{
	uint64_t most = 2000000000ULL;

	return ttl_ns / 5 < most ? ttl_ns / 5 : most;
}

uint64_t lease_left_ns(uint64_t deadline_ns, uint64_t now_ns)
{
	return lease_before(deadline_ns, now_ns);
}

bool lease_holds(uint64_t deadline_ns, uint64_t now_ns)
{
	return now_ns < deadline_ns;
}

static void lease_duration(struct buf *b, uint64_t ns)
{
	char text[48];

	buf_text(b, text_from_duration(ns, text, sizeof text));
}

static void lease_explain(const struct lease_timing *t, uint64_t have_ns, uint64_t need_ns, struct buf *b)
{
	if (t->rate_error_ppm > LEASE_RATE_ERROR_MAX_PPM) {
		buf_text(b, "unsafe timings: a clock rate error of ");
		buf_u64(b, t->rate_error_ppm);
		buf_text(b, " ppm is more than ");
		buf_u64(b, LEASE_RATE_ERROR_MAX_PPM);
		buf_text(b, " ppm; repair the clocks or set a lower one");
		return;
	}
	buf_text(b, "unsafe timings: D(ttl) >= h + 2 r + grace + kill_margin is broken: ");
	lease_duration(b, have_ns);
	buf_text(b, " < ");
	lease_duration(b, t->heartbeat_ns);
	buf_text(b, " + 2 x ");
	lease_duration(b, t->retry_ns);
	buf_text(b, " + ");
	lease_duration(b, t->grace_ns);
	buf_text(b, " + ");
	lease_duration(b, t->kill_margin_ns);
	buf_text(b, " = ");
	lease_duration(b, need_ns);
	buf_text(b, " (ttl ");
	lease_duration(b, t->ttl_ns);
	buf_text(b, "); raise the ttl or lower the grace");
}

bool lease_is_safe(const struct lease_timing *t, char *message, size_t room)
{
	uint64_t have_ns = lease_allowance_ns(t->ttl_ns, t->rate_error_ppm), need_ns;
	struct buf b;

	need_ns = lease_add(t->heartbeat_ns, lease_add(t->retry_ns, t->retry_ns));
	need_ns = lease_add(need_ns, lease_add(t->grace_ns, t->kill_margin_ns));
	if (t->ttl_ns == LEASE_NS_NEVER || /* nothing is counted, on whatever clock */
	    (t->rate_error_ppm <= LEASE_RATE_ERROR_MAX_PPM && have_ns > 0 && have_ns >= need_ns)) {
		if (message && room > 0)
			message[0] = '\0';
		return true;
	}
	if (message && room > 0) {
		buf_init(&b, message, room);
		lease_explain(t, have_ns, need_ns, &b);
	}
	return false;
}
