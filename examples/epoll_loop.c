/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Elections inside a program that has an epoll loop: one more descriptor to watch, nothing else.
 *
 *	epoll_loop STORE ELECTION ID
 *
 * Works while it leads, waits while another one does, and hands over on SIGTERM or SIGINT. Start it twice.
 * Build: cc epoll_loop.c $(pkg-config --cflags --libs tenure)
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <tenure/tenure.h>

#define PIECE_MS 50

struct app {
	const char *id;
	struct tenure *session;
	struct tenure_candidacy *candidacy;
	int epoll_fd, signal_fd;
};

static void on_event(void *arg, const struct tenure_event *event)
{
	const struct app *app = arg;

	if (event->type != TENURE_EV_STATE)
		return;
	if (event->to == TENURE_LEADING && event->from != TENURE_AT_RISK)
		printf("%s: leads with token %llu\n", app->id, (unsigned long long)event->token);
	else if (event->from == TENURE_LEADING && event->to != TENURE_AT_RISK)
		printf("%s: leads no more\n", app->id);
}

static int watch(int epoll_fd, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd }; /* level-triggered */

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static int prepare(struct app *app)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	app->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	app->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (app->signal_fd < 0 || app->epoll_fd < 0)
		return -1;
	if (watch(app->epoll_fd, app->signal_fd) != 0)
		return -1;
	return watch(app->epoll_fd, tenure_fd(app->session));
}

/* Until a signal comes. 0, or 1 when the candidacy is over for good or the loop is broken. */
static int run(struct app *app)
{
	struct tenure_error why = TENURE_ERROR_INIT;
	struct tenure_grant grant;

	for (;;) {
		struct epoll_event events[4];
		int n = epoll_wait(app->epoll_fd, events, 4, PIECE_MS);

		if (n < 0 && errno != EINTR)
			return 1;
		for (int i = 0; i < n; i++)
			if (events[i].data.fd == app->signal_fd)
				return 0;
		/* Whatever woke us: processing when there is nothing to do costs next to nothing. Runs callbacks. */
		tenure_process(app->session);
		if (tenure_state_of(app->candidacy, &why) == TENURE_ENDED) {
			fprintf(stderr, "%s: %s\n", app->id, why.message);
			return 1;
		}
		if (!tenure_leads(app->candidacy, &grant)) /* asked before each piece of work */
			continue;
		/* A piece of work goes here. Hand grant.token to whatever it writes to (see guard.c). */
	}
}

int main(int argc, char **argv)
{
	struct tenure_campaign_options campaign = TENURE_CAMPAIGN_OPTIONS_INIT;
	struct tenure_options options = TENURE_OPTIONS_INIT;
	struct tenure_error error = TENURE_ERROR_INIT;
	struct app app = { .id = argc == 4 ? argv[3] : "", .epoll_fd = -1, .signal_fd = -1 };
	int code = 1;

	if (argc != 4) {
		fprintf(stderr, "usage: epoll_loop STORE ELECTION ID\n");
		return 64;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	options.id = app.id;
	options.embedded = true;
	campaign.on_event = on_event;
	campaign.arg = &app;
	if (tenure_open(&app.session, argv[1], &options, &error) != 0 ||
	    tenure_campaign(app.session, argv[2], &campaign, &app.candidacy, &error) != 0)
		fprintf(stderr, "%s: %s\n", app.id, error.message);
	else if (prepare(&app) != 0)
		fprintf(stderr, "%s: cannot watch: %s\n", app.id, strerror(errno));
	else
		code = run(&app);
	/* The work has stopped, so leadership may go: closing resigns, and the next in line takes over at once. */
	tenure_close(app.session, TENURE_NS_NEVER);
	if (app.epoll_fd >= 0)
		close(app.epoll_fd);
	if (app.signal_fd >= 0)
		close(app.signal_fd);
	if (code == 0)
		printf("%s: stopped\n", app.id);
	return code;
}
