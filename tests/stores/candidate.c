/* SPDX-License-Identifier: Apache-2.0 */
/*
 *	candidate once URL ELECTION		leads, says "lead TOKEN", resigns, ends
 *	candidate stay URL ELECTION		leads, says "lead TOKEN", goes on until its standard input ends
 *	candidate try URL ELECTION		as stay, but ends with 3 and the reason on stdout when it is not led
 *	candidate many URL N			leads N elections, says "all", goes on until its standard input ends
 *	candidate ledger URL ELECTION FILE	as once, and appends "begin token" and "end token" to a shared file
 *	candidate open URL			prints what tenure_open() answers
 *
 * One process of an election, without a thread of its own so that a tracer can count its steps.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <tenure/tenure.h>

#define CANDIDATE_PATIENCE_MS 120000
#define CANDIDATE_MANY        20000 /* elections of one process, at most */

struct candidate {
	struct tenure *t;
	bool stopped; /* CONNECTING with an error, or ENDED */
	char reason[300];
};

static void candidate_event(void *arg, const struct tenure_event *e)
{
	struct candidate *c = arg;

	if (e->type != TENURE_EV_STATE || !e->error || (e->to != TENURE_CONNECTING && e->to != TENURE_ENDED))
		return;
	c->stopped = true;
	(void)snprintf(c->reason, sizeof c->reason, "%s %d %s", e->to == TENURE_ENDED ? "ended" : "waits",
	               e->error->code, e->error->message);
}

/* Until stdin ends: false. */
static bool candidate_drive(struct candidate *c, bool listen)
{
	struct pollfd ready[2] = { { .fd = tenure_fd(c->t), .events = POLLIN },
		                   { .fd = listen ? 0 : -1, .events = POLLIN } };
	char bytes[64];

	(void)poll(ready, 2, 1000);
	(void)tenure_process(c->t);
	return !(listen && ready[1].revents && read(0, bytes, sizeof bytes) <= 0);
}

static void candidate_say(const char *text)
{
	if (write(1, text, strlen(text)) != (ssize_t)strlen(text))
		_exit(5);
}

static void candidate_ledger(const char *file, const char *what, uint64_t token)
{
	char line[64];
	int fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600), used;

	used = snprintf(line, sizeof line, "%s %llu\n", what, (unsigned long long)token);
	if (fd < 0 || write(fd, line, (size_t)used) != used)
		_exit(5);
	(void)close(fd);
}

static int candidate_one(struct candidate *c, const char *mode, const char *election, const char *ledger)
{
	struct tenure_campaign_options options = TENURE_CAMPAIGN_OPTIONS_INIT;
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_candidacy *candidacy;
	struct tenure_grant grant;
	bool try = strcmp(mode, "try") == 0;
	char line[400];

	options.once = true;
	options.on_event = candidate_event;
	options.arg = c;
	if (tenure_campaign(c->t, election, &options, &candidacy, &error) != 0) {
		(void)snprintf(line, sizeof line, "refused %d %s\n", error.code, error.message);
		candidate_say(line);
		return 3;
	}
	while (!tenure_leads(candidacy, &grant)) {
		if (c->stopped && try) {
			(void)snprintf(line, sizeof line, "%s\n", c->reason);
			candidate_say(line);
			return 3;
		}
		if (!candidate_drive(c, try))
			return 4;
	}
	if (ledger)
		candidate_ledger(ledger, "begin", grant.token);
	(void)snprintf(line, sizeof line, "lead %llu\n", (unsigned long long)grant.token);
	candidate_say(line);
	if (strcmp(mode, "stay") == 0 || try)
		while (candidate_drive(c, true))
			;
	if (ledger)
		candidate_ledger(ledger, "end", grant.token);
	return tenure_close(c->t, UINT64_C(30000000000)) == 0 ? 0 : 6;
}

static int candidate_many(struct candidate *c, long n)
{
	static struct tenure_candidacy *all[CANDIDATE_MANY];
	struct rlimit limit;
	char name[32];

	if (n < 1 || n > CANDIDATE_MANY)
		return 64;
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	for (long i = 0; i < n; i++) {
		(void)snprintf(name, sizeof name, "job-%05ld", i);
		if (tenure_campaign(c->t, name, NULL, &all[i], NULL) != 0)
			return 5;
	}
	for (long i = 0; i < n; i++)
		while (!tenure_leads(all[i], NULL))
			if (!candidate_drive(c, true))
				return 4;
	candidate_say("all\n");
	while (candidate_drive(c, true))
		;
	return tenure_close(c->t, UINT64_C(60000000000)) == 0 ? 0 : 6;
}

int main(int argc, char **argv)
{
	struct tenure_options options = TENURE_OPTIONS_INIT;
	struct tenure_error error = TENURE_ERROR_INIT;
	struct candidate c = { 0 };
	char line[400];
	int code;

	if (argc < 3)
		return 64;
	options.embedded = true;
	code = tenure_open(&c.t, argv[2], &options, &error);
	if (code != 0 || strcmp(argv[1], "open") == 0) {
		(void)snprintf(line, sizeof line, "open %d %s\n", code, error.message);
		candidate_say(line);
		return code == 0 ? tenure_close(c.t, 0) : 2;
	}
	if (strcmp(argv[1], "many") == 0)
		return candidate_many(&c, strtol(argv[3], NULL, 10));
	return candidate_one(&c, argv[1], argv[3], argc > 4 ? argv[4] : NULL);
}
