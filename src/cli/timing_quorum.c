/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/timing_quorum.h"

#include "base/clock.h"
#include "base/text.h"

#define TIMING_QUORUM_PPM 1000000u

json_t *timing_ms(uint64_t ns)
{
	uint64_t us = ns / 1000;

	if (ns == NS_NEVER)
		return json_null();
	if (ns % CLOCK_NS_PER_MS == 0)
		return json_integer((json_int_t)(ns / CLOCK_NS_PER_MS));
	return json_real((double)us / 1e3);
}

static uint64_t timing_larger(uint64_t a_ns, uint64_t b_ns)
{
	return a_ns > b_ns ? a_ns : b_ns;
}

static uint64_t timing_rest(uint64_t whole_ns, uint64_t less_ns)
{
	return whole_ns > less_ns ? whole_ns - less_ns : 0;
}

void timing_quorum_derive(struct timing_quorum *t)
{
	t->lease.heartbeat_ns = t->lease.ttl_ns / 4;
	t->lease.retry_ns = timing_larger(4 * t->rtt_ns, t->lease.ttl_ns / 20);
}

/* max(10 RTT, 200 ms), at most ttl/2 and what the voters grant. */
static uint64_t timing_ttl_v_ns(const struct timing_quorum *t)
{
	uint64_t ttl_v_ns = timing_larger(10 * t->rtt_ns, 200 * CLOCK_NS_PER_MS);

	if (ttl_v_ns > t->lease.ttl_ns / 2)
		ttl_v_ns = t->lease.ttl_ns / 2;
	return ttl_v_ns < t->max_ttl_v_ns ? ttl_v_ns : t->max_ttl_v_ns;
}

/* What a span counted on a slow clock lasts at most. */
static uint64_t timing_slowest_ns(const struct timing_quorum *t, uint64_t ns)
{
	return (uint64_t)((double)ns * TIMING_QUORUM_PPM / (TIMING_QUORUM_PPM - t->lease.rate_error_ppm));
}

static void timing_quorum_lease(struct output_findings *f, const struct timing_quorum *t)
{
	const struct lease_timing *l = &t->lease;
	uint64_t ttl_v_ns = timing_ttl_v_ns(t);
	char text[48];

	output_finding(f, "ttl", timing_ms(l->ttl_ns), "ms", l->ttl_ns > t->max_ttl_ns ? OUTPUT_UNSAFE : OUTPUT_OK,
	               l->ttl_ns > t->max_ttl_ns ? "more than the voters' max_ttl of %s: refused"
	                                         : "the lease of a session; the voters grant up to %s",
	               text_from_duration(t->max_ttl_ns, text, sizeof text));
	output_finding(f, "D(ttl)", timing_ms(lease_allowance_ns(l->ttl_ns, l->rate_error_ppm)), "ms", OUTPUT_OK,
	               "how long a confirmation lasts, from when its request was sent: ttl (1-rho)/(1+rho) - g");
	output_finding(f, "heartbeat", timing_ms(l->heartbeat_ns), "ms", OUTPUT_OK, "h = ttl/4");
	output_finding(f, "retry", timing_ms(l->retry_ns), "ms", OUTPUT_OK,
	               "r = max(4 RTT, ttl/20): an unanswered heartbeat is repeated");
	output_finding(f, "ttl of a vote", timing_ms(ttl_v_ns), "ms", OUTPUT_OK,
	               "max(10 RTT, 200 ms), at most ttl/2 and max_ttl_v: until the session carries the lease");
	output_finding(f, "clock rate error", json_integer(l->rate_error_ppm), "ppm", OUTPUT_OK,
	               "rho: what each clock's rate may be off by; watched at every renewal");
}

static void timing_quorum_program(struct output_findings *f, const struct timing_quorum *t)
{
	const struct lease_timing *l = &t->lease;
	uint64_t end_ns = lease_allowance_ns(l->ttl_ns, l->rate_error_ppm);
	uint64_t deadline_ns = lease_deadline_ns(end_ns, l->kill_margin_ns);
	char message[256];
	bool safe = lease_is_safe(l, message, sizeof message);

	output_finding(f, "grace", timing_ms(l->grace_ns), "ms", OUTPUT_OK,
	               "what 'tenure run' leaves the program between SIGTERM and SIGKILL");
	output_finding(f, "kill margin", timing_ms(l->kill_margin_ns), "ms", OUTPUT_OK,
	               "kept between the deadline and the provable end for timers that are late");
	output_finding(f, "safe", json_boolean(safe), "", safe ? OUTPUT_OK : OUTPUT_UNSAFE, "%s",
	               safe ? "D(ttl) >= h + 2 r + grace + kill margin holds" : message);
	output_finding(f, "soft stop", timing_ms(lease_soft_stop_ns(deadline_ns, l->grace_ns)), "ms", OUTPUT_OK,
	               "SIGTERM, so long after the last confirmed renewal was sent");
	output_finding(f, "deadline", timing_ms(deadline_ns), "ms", OUTPUT_OK,
	               "SIGKILL by supervisor and dead-man timer, after the same");
	output_finding(f, "provable end", timing_ms(end_ns), "ms", OUTPUT_OK,
	               "before it nobody else can lead, after the same");
	output_finding(f, "outage ridden out",
	               timing_ms(timing_rest(deadline_ns, l->heartbeat_ns + l->grace_ns + t->rtt_ns)), "ms", OUTPUT_OK,
	               "a pause, or a network without a majority, so long at most costs no leadership, whenever it "
	               "begins");
}

static void timing_quorum_changes(struct output_findings *f, const struct timing_quorum *t)
{
	const struct lease_timing *l = &t->lease;
	uint64_t over_ns = timing_slowest_ns(t, l->ttl_ns) + 2 * t->rtt_ns;

	output_finding(f, "hand-over, worst", timing_ms(l->grace_ns + 2 * t->rtt_ns), "ms", OUTPUT_OK,
	               "resign or transfer: the program's grace, the proof of its end, 2 RTT");
	output_finding(f, "hand-over, no program", timing_ms(2 * t->rtt_ns), "ms", OUTPUT_OK,
	               "RELEASE and nudge, vote and answer: 2 RTT");
	output_finding(f, "fail-over, program dies", timing_ms(2 * t->rtt_ns), "ms", OUTPUT_OK,
	               "its supervisor proves the end and releases: that work, then 2 RTT");
	output_finding(f, "fail-over, best", timing_ms(timing_rest(l->ttl_ns, l->heartbeat_ns)), "ms", OUTPUT_OK,
	               "a supervisor or host that dies, or is cut off, right before its heartbeat: ttl - h");
	output_finding(f, "fail-over, worst", timing_ms(over_ns), "ms", OUTPUT_OK,
	               "the same right after one: ttl/(1-rho) + 2 RTT; hangs and stops are no worse");
}

static void timing_quorum_voters(struct output_findings *f, const struct timing_quorum *t)
{
	const struct lease_timing *l = &t->lease;
	bool rides = t->max_ttl_v_ns <= l->ttl_ns / 4;
	uint64_t hold_ns = timing_slowest_ns(t, t->max_ttl_ns), quiet_ns = timing_slowest_ns(t, t->max_ttl_v_ns);

	output_finding(f, "one voter dies", json_integer(0), "ms", OUTPUT_OK,
	               "no renewal is late and no election waits: the others are a majority");
	output_finding(f, "voter, clean restart", json_integer(0), "ms", OUTPUT_OK,
	               "it votes at once; leases start anew, downtime is not taken off");
	output_finding(f, "voter, crash: votes", timing_ms(hold_ns), "ms", OUTPUT_OK,
	               "the hold: max_ttl on its own clock; space unclean restarts further apart");
	output_finding(
	        f, "voter, crash: renewals", timing_ms(quiet_ns), "ms", rides ? OUTPUT_OK : OUTPUT_WEAK,
	        rides ? "the quiet time: max_ttl_v; leaders outlive even the crash of a majority"
	              : "the quiet time: max_ttl_v is more than ttl/4, so leaders may not outlive the crash of a "
	                "majority");
	output_finding(f, "majority crashes", timing_ms(hold_ns + 2 * t->rtt_ns), "ms", OUTPUT_OK,
	               "no NEW leader for so long after a majority is back");
}

void timing_quorum_rows(struct output_findings *f, const struct timing_quorum *t)
{
	timing_quorum_lease(f, t);
	timing_quorum_program(f, t);
	timing_quorum_changes(f, t);
	timing_quorum_voters(f, t);
}
