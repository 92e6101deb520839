/* SPDX-License-Identifier: Apache-2.0 */
#include "quorum/voter_http.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "loop/stream.h"
#include "quorum/voter_metrics.h"

#define VOTER_HTTP_TEXT_(x) #x
#define VOTER_HTTP_TEXT(x)  VOTER_HTTP_TEXT_(x)
#define VOTER_HTTP_VERSION                                                                                             \
	VOTER_HTTP_TEXT(TENURE_VERSION_MAJOR)                                                                          \
	"." VOTER_HTTP_TEXT(TENURE_VERSION_MINOR) "." VOTER_HTTP_TEXT(TENURE_VERSION_PATCH)
#define VOTER_HTTP_CONNECTIONS  64u
#define VOTER_HTTP_IDLE_S       10u
#define VOTER_HTTP_MEMORY_BYTES ((size_t)16384) /* a connection's */

struct voter_http {
	struct loop *loop;
	struct loop_watch *watch;
	struct loop_timer timer;
	const struct voter_server *server;
	struct MHD_Daemon *daemon;
	char name[STREAM_ADDRESS_ROOM];
};

static enum MHD_Result voter_http_send(struct MHD_Connection *c, unsigned status, const char *type, const char *text)
{
	struct MHD_Response *r =
	        MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result = MHD_NO;

	if (!r)
		return MHD_NO;
	if (MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES &&
	    MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store") == MHD_YES)
		result = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return result;
}

static enum MHD_Result voter_http_ready(const struct voter_http *h, struct MHD_Connection *c)
{
	struct voter_server_stats stats;
	char text[96], line[128];
	const char *why;

	voter_server_read_stats(h->server, &stats);
	why = voter_metrics_not_ready(&stats, clock_now_or_zero_ns(), text, sizeof text);
	(void)snprintf(line, sizeof line, "%s\n", why ? why : "ok");
	return voter_http_send(c, why ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK, "text/plain; charset=utf-8", line);
}

static enum MHD_Result voter_http_metrics(const struct voter_http *h, struct MHD_Connection *c)
{
	struct voter_metrics m = { .name = voter_server_name(h->server), .version = VOTER_HTTP_VERSION };
	char text[VOTER_METRICS_ROOM];
	struct buf b;

	voter_server_read_stats(h->server, &m.stats);
	m.now_ns = clock_now_or_zero_ns();
	buf_init(&b, text, sizeof text);
	voter_metrics_write(&b, &m);
	return voter_http_send(c, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", text);
}

static enum MHD_Result voter_http_on_request(void *arg, struct MHD_Connection *c, const char *url, const char *method,
                                             const char *version, const char *data, size_t *n_data, void **request)
{
	const struct voter_http *h = arg;

	(void)version;
	(void)data;
	(void)request;
	if (*n_data != 0) { /* nobody asked for a body: it is not read */
		*n_data = 0;
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return voter_http_send(c, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain", "GET or HEAD\n");
	if (strcmp(url, "/livez") == 0)
		return voter_http_send(c, MHD_HTTP_OK, "text/plain", "ok\n");
	if (!h->server)
		return voter_http_send(c, MHD_HTTP_SERVICE_UNAVAILABLE, "text/plain", "it has not begun\n");
	if (strcmp(url, "/readyz") == 0)
		return voter_http_ready(h, c);
	if (strcmp(url, "/metrics") == 0)
		return voter_http_metrics(h, c);
	return voter_http_send(c, MHD_HTTP_NOT_FOUND, "text/plain", "there are /livez, /readyz and /metrics\n");
}

static void voter_http_run(void *arg)
{
	struct voter_http *h = arg;
	MHD_UNSIGNED_LONG_LONG wait_ms;

	(void)MHD_run(h->daemon);
	if (MHD_get_timeout(h->daemon, &wait_ms) == MHD_YES)
		loop_timer_arm(&h->timer,
		               clock_add_ns(clock_now_or_zero_ns(), (wait_ms ? wait_ms : 1) * CLOCK_NS_PER_MS));
	else
		loop_timer_disarm(&h->timer);
}

static int voter_http_start(struct voter_http *h, int fd, struct tenure_error *error)
{
	const union MHD_DaemonInfo *info;

	h->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, voter_http_on_request, h, MHD_OPTION_LISTEN_SOCKET,
	                             fd, MHD_OPTION_CONNECTION_LIMIT, VOTER_HTTP_CONNECTIONS,
	                             MHD_OPTION_CONNECTION_TIMEOUT, VOTER_HTTP_IDLE_S,
	                             MHD_OPTION_CONNECTION_MEMORY_LIMIT, VOTER_HTTP_MEMORY_BYTES, MHD_OPTION_END);
	if (!h->daemon) {
		(void)close(fd);
		return error_set(error, TENURE_EINTERNAL, 0, "cannot start the HTTP server at %.100s", h->name);
	}
	info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info || loop_watch(h->loop, info->epoll_fd, voter_http_run, h, &h->watch) != 0)
		return error_set(error, TENURE_EINTERNAL, 0, "cannot watch the HTTP server at %.100s", h->name);
	return 0;
}

int voter_http_new(struct voter_http **out, struct loop *l, const char *address, struct tenure_error *error)
{
	struct voter_http *h = calloc(1, sizeof *h);
	int fd, code;

	if (!h)
		return error_set(error, TENURE_ENOMEM, 0, "no memory for the HTTP server");
	h->loop = l;
	loop_timer_init(l, &h->timer, voter_http_run, h);
	code = stream_bind(&fd, h->name, address, 0, error);
	if (code == 0)
		code = voter_http_start(h, fd, error);
	if (code != 0) {
		voter_http_free(h);
		return code;
	}
	*out = h;
	return 0;
}

void voter_http_serve(struct voter_http *h, const struct voter_server *server)
{
	h->server = server;
}

void voter_http_free(struct voter_http *h)
{
	if (!h)
		return;
	loop_timer_disarm(&h->timer);
	loop_unwatch(h->watch);
	if (h->daemon)
		MHD_stop_daemon(h->daemon);
	free(h);
}

const char *voter_http_address(const struct voter_http *h)
{
	return h->name;
}
