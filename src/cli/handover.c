/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/handover.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/exit_code.h"
#include "base/names.h"
#include "cli/drive.h"
#include "cli/election_view.h"
#include "cli/output.h"

struct handover { /* one request */
	uint64_t token_before;
	bool led; /* another one leads now */
	char leader[NAMES_ID_MAX_BYTES + 1];
	uint64_t token;
};

static void handover_on_event(void *arg, const struct tenure_event *e)
{
	struct handover *h = arg;

	if (e->type != TENURE_EV_LEADER || e->token == h->token_before)
		return;
	h->led = e->leader_id != NULL;
	h->token = h->led ? e->token : 0;
	(void)snprintf(h->leader, sizeof h->leader, "%s", h->led ? e->leader_id : "");
}

static int handover_tell(const struct cli *cli, const char *election, const struct handover *h)
{
	if (h->led)
		(void)printf("%s: %s leads, token %" PRIu64 "\n", election, h->leader, h->token);
	else
		(void)printf("%s: the leader has resigned, nobody leads\n", election);
	return output_flush(cli);
}

/* The one before is over; `to` was named or somebody waits, so another one is about to lead. */
static int handover_await_next(struct cli *cli, struct drive *d, const char *election, const struct handover *h,
                               uint64_t until_ns)
{
	while (!h->led && clock_now_or_zero_ns() < until_ns) {
		int code = drive_step(d, until_ns);

		if (code < 0)
			return cli_fail_code(cli, exit_code_of(code), "%s", tenure_strerror(code));
	}
	return handover_tell(cli, election, h);
}

static int handover_fail(const struct cli *cli, int code, const char *election, const struct tenure_error *error)
{
	if (code == TENURE_NOT_LEADING)
		return cli_fail_code(cli, 64, "nobody leads election '%s', so there is nothing to hand over", election);
	return cli_fail(cli, error);
}

static int handover_ask(struct cli *cli, struct drive *d, const char *election, const char *to, uint64_t wait_ns)
{
	uint64_t until_ns = clock_add_ns(clock_now_or_zero_ns(), wait_ns);
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_observer *observer = NULL;
	struct handover h = { .led = false };
	bool successor;
	int code;
	struct tenure_status *s = election_view_read(cli, d->t, election, &code);

	if (!s)
		return code;
	h.token_before = tenure_status_token(s);
	successor = to != NULL || tenure_status_waiting(s, NULL, 0) > 0;
	tenure_status_free(s);
	code = tenure_observe(d->t, election, handover_on_event, &h, &observer, &error);
	if (code == 0)
		code = tenure_ask_resign(d->t, election, to, wait_ns, &error);
	if (code != 0)
		code = handover_fail(cli, code, election, &error);
	else
		code = handover_await_next(cli, d, election, &h, successor ? until_ns : 0);
	tenure_observer_free(observer);
	return code;
}

int handover_run(struct cli *cli, const char *election, const char *to, uint64_t wait_ns)
{
	struct drive d = { .signal_fd = -1 };
	int code = cli_check_election(cli, election);

	if (code == 0)
		code = cli_open(cli, true, &d.t);
	if (code != 0)
		return code;
	cli_end_on_signals();
	code = handover_ask(cli, &d, election, to, wait_ns);
	(void)tenure_close(d.t, 0);
	return code;
}
