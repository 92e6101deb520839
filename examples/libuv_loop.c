/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Elections inside a program that has a libuv loop: no thread is added, events come as callbacks of the loop.
 *
 *	libuv_loop STORE ELECTION ID
 *
 * Works while it leads, waits while another one does, and hands over on SIGTERM or SIGINT. Start it twice.
 * Build: cc libuv_loop.c $(pkg-config --cflags --libs tenure libuv)
 */
#include <signal.h>
#include <stdio.h>

#include <tenure/tenure.h>
#include <uv.h>

struct app {
	const char *id;
	struct tenure *session;
	struct tenure_candidacy *candidacy;
	uv_poll_t tenure_ready; /* readable: the session has work, timers included */
	uv_timer_t work;
	uv_signal_t on_term, on_int;
	int failed;
};

/* Called by tenure_process(), so on the loop: start and stop things here, and never block. */
static void on_event(void *arg, const struct tenure_event *event)
{
	struct app *app = arg;

	if (event->type != TENURE_EV_STATE)
		return;
	if (event->to == TENURE_LEADING && event->from != TENURE_AT_RISK)
		printf("%s: leads with token %llu\n", app->id, (unsigned long long)event->token);
	else if (event->from == TENURE_LEADING && event->to != TENURE_AT_RISK)
		printf("%s: leads no more\n", app->id);
	if (event->to == TENURE_ENDED && event->error) { /* for good: the store can't be used */
		fprintf(stderr, "%s: %s\n", app->id, event->error->message);
		app->failed = 1;
		uv_stop(app->work.loop);
	}
}

static void on_tenure_ready(uv_poll_t *handle, int status, int events)
{
	struct app *app = handle->data;

	(void)status;
	(void)events;
	tenure_process(app->session);
}

static void on_work(uv_timer_t *timer)
{
	struct app *app = timer->data;
	struct tenure_grant grant;

	if (!tenure_leads(app->candidacy, &grant)) /* asked before each piece of work, whatever the events said */
		return;
	/* A piece of work goes here. Hand grant.token to whatever it writes to (see guard.c). */
}

static void on_signal(uv_signal_t *handle, int number)
{
	(void)number;
	uv_stop(handle->loop);
}

static int watch(struct app *app, uv_loop_t *loop)
{
	int code = uv_poll_init(loop, &app->tenure_ready, tenure_fd(app->session));

	if (code == 0)
		code = uv_poll_start(&app->tenure_ready, UV_READABLE, on_tenure_ready);
	uv_timer_init(loop, &app->work);
	uv_signal_init(loop, &app->on_term);
	uv_signal_init(loop, &app->on_int);
	app->tenure_ready.data = app->work.data = app;
	uv_timer_start(&app->work, on_work, 0, 50);
	uv_signal_start(&app->on_term, on_signal, SIGTERM);
	uv_signal_start(&app->on_int, on_signal, SIGINT);
	return code;
}

static void unwatch(struct app *app, uv_loop_t *loop)
{
	uv_close((uv_handle_t *)&app->tenure_ready, NULL);
	uv_close((uv_handle_t *)&app->work, NULL);
	uv_close((uv_handle_t *)&app->on_term, NULL);
	uv_close((uv_handle_t *)&app->on_int, NULL);
	uv_run(loop, UV_RUN_DEFAULT);
	uv_loop_close(loop);
}

int main(int argc, char **argv)
{
	struct tenure_campaign_options campaign = TENURE_CAMPAIGN_OPTIONS_INIT;
	struct tenure_options options = TENURE_OPTIONS_INIT;
	struct tenure_error error = TENURE_ERROR_INIT;
	struct app app = { .id = argc == 4 ? argv[3] : "" };
	uv_loop_t loop;

	if (argc != 4) {
		fprintf(stderr, "usage: libuv_loop STORE ELECTION ID\n");
		return 64;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	options.id = app.id;
	options.embedded = true;
	campaign.on_event = on_event;
	campaign.arg = &app;
	if (tenure_open(&app.session, argv[1], &options, &error) != 0 ||
	    tenure_campaign(app.session, argv[2], &campaign, &app.candidacy, &error) != 0) {
		fprintf(stderr, "%s: %s\n", app.id, error.message);
		tenure_close(app.session, 0);
		return 1;
	}
	uv_loop_init(&loop);
	if (watch(&app, &loop) == 0)
		uv_run(&loop, UV_RUN_DEFAULT);
	else
		app.failed = 1;
	unwatch(&app, &loop); /* the poll handle goes before the descriptor, which belongs to the session */
	/* The work has stopped, so leadership may go: closing resigns, and the next in line takes over at once. */
	tenure_close(app.session, TENURE_NS_NEVER);
	if (!app.failed)
		printf("%s: stopped\n", app.id);
	return app.failed;
}
