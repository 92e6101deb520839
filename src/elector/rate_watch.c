/* SPDX-License-Identifier: Apache-2.0 */
#include "elector/rate_watch.h"

#include "base/buf.h"

#define RATE_WATCH_PPM 1000000

void rate_watch_init(struct rate_watch *w, uint32_t bound_ppm)
{
	*w = (struct rate_watch) { .bound_ppm = bound_ppm };
}

static uint64_t rate_watch_apart(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* What two readings may be apart by at most, `span_ns` having passed between them. */
static uint64_t rate_watch_allowed_ns(const struct rate_watch *w, const struct rate_watch_reading *from,
                                      const struct rate_watch_reading *to, uint64_t span_ns)
{
	/* in two steps, so that no product of a long span overflows */
	uint64_t drift_ns =
	        span_ns / RATE_WATCH_PPM * w->bound_ppm + span_ns % RATE_WATCH_PPM * w->bound_ppm / RATE_WATCH_PPM;

	return drift_ns + from->spread_ns + to->spread_ns + RATE_WATCH_NOISE_NS;
}

static bool rate_watch_backwards(const struct rate_watch_reading *from, const struct rate_watch_reading *to)
{
	return to->boot_ns < from->boot_ns || to->mono_ns < from->mono_ns || to->raw_ns < from->raw_ns;
}

/* BOOTTIME is MONOTONIC and the time in suspend: what it gained more than that is suspend; it can't gain less. */
static bool rate_watch_suspend(struct rate_watch *w, const struct rate_watch_reading *r)
{
	uint64_t boot_ns = r->boot_ns - w->last.boot_ns, mono_ns = r->mono_ns - w->last.mono_ns;
	uint64_t noise_ns = w->last.spread_ns + r->spread_ns + RATE_WATCH_NOISE_NS;

	if (boot_ns + noise_ns < mono_ns)
		return false;
	if (boot_ns > mono_ns + noise_ns)
		w->suspended_ns += boot_ns - mono_ns;
	return true;
}

static enum rate_watch_fault rate_watch_judge(struct rate_watch *w, const struct rate_watch_reading *r)
{
	uint64_t mono_ns, raw_ns, bound_ppb = (uint64_t)w->bound_ppm * 1000;

	if (rate_watch_backwards(&w->last, r) || !rate_watch_suspend(w, r))
		return RATE_WATCH_STEPPED;
	mono_ns = r->mono_ns - w->first.mono_ns;
	raw_ns = r->raw_ns - w->first.raw_ns;
	if (raw_ns >= RATE_WATCH_PPM)
		w->seen_ppm = ((int64_t)mono_ns - (int64_t)raw_ns) / (int64_t)(raw_ns / RATE_WATCH_PPM);
	if (rate_watch_apart(mono_ns, raw_ns) > rate_watch_allowed_ns(w, &w->first, r, raw_ns))
		return RATE_WATCH_DRIFTS;
	if (r->has_slew && (r->slew_ppb > (int64_t)bound_ppb || r->slew_ppb < -(int64_t)bound_ppb))
		return RATE_WATCH_SLEWED;
	return RATE_WATCH_OK;
}

static void rate_watch_begin_window(struct rate_watch *w, const struct rate_watch_reading *r)
{
	w->first = w->last = *r;
}

enum rate_watch_fault rate_watch_step(struct rate_watch *w, const struct rate_watch_reading *r)
{
	enum rate_watch_fault seen;

	w->slew_ppm = r->has_slew ? r->slew_ppb / 1000 : 0;
	if (!w->begun) {
		w->begun = true;
		rate_watch_begin_window(w, r);
	}
	seen = rate_watch_judge(w, r);
	w->last = *r;
	if (seen != RATE_WATCH_OK) {
		w->fault = seen;
		rate_watch_begin_window(w, r);
	} else if (r->raw_ns - w->first.raw_ns >= RATE_WATCH_WINDOW_NS) {
		w->fault = RATE_WATCH_OK;
		rate_watch_begin_window(w, r);
	}
	return w->fault;
}

const char *rate_watch_explain(const struct rate_watch *w, char *text, size_t room)
{
	struct buf b;

	buf_init(&b, text, room);
	switch (w->fault) {
	case RATE_WATCH_OK:
		return text;
	case RATE_WATCH_DRIFTS:
		buf_text(&b, "this host's clock was seen to run wrong by ");
		buf_i64(&b, w->seen_ppm);
		break;
	case RATE_WATCH_SLEWED:
		buf_text(&b, "this host's clock is being slewed by ");
		buf_i64(&b, w->slew_ppm);
		break;
	case RATE_WATCH_STEPPED:
		buf_text(&b, "this host's clocks stepped against each other; a rate error of ");
		buf_i64(&b, w->seen_ppm);
		break;
	}
	buf_text(&b, " ppm, leases allow ");
	buf_u64(&b, w->bound_ppm);
	buf_text(&b,
	         " ppm: nothing is renewed until that is over; let the clock's daemon slew less (chrony: maxslewrate)");
	return text;
}
