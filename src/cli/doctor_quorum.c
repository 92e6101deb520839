/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor_quorum.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "client/client.h"
#include "elector/store.h"
#include "loop/stream.h"
#include "quorum/quorum.h"

#define DOCTOR_QUORUM_CONNECT_MS 2000
#define DOCTOR_QUORUM_LIMIT_NS   (5 * CLOCK_NS_PER_S)
/* Reading makes nothing, and names that nobody campaigned in may be read. */
#define DOCTOR_QUORUM_ELECTION "doctor"

/* 0, or the errno of why not. */
static int doctor_quorum_connect_to(const struct addrinfo *to)
{
	int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), failed = 0;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t length = sizeof failed;

	if (fd < 0)
		return errno;
	if (connect(fd, to->ai_addr, to->ai_addrlen) != 0)
		failed = errno;
	if (failed == EINPROGRESS) {
		int n = poll(&p, 1, DOCTOR_QUORUM_CONNECT_MS);

		if (n == 0)
			failed = ETIMEDOUT;
		else if (n < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &length) != 0)
			failed = errno;
	}
	(void)close(fd);
	return failed;
}

static void doctor_quorum_voter(struct output_findings *f, const char *address)
{
	char host[STREAM_ADDRESS_ROOM], service[8], name[STREAM_ADDRESS_ROOM + 16];
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
	uint64_t began_ns = 0, ended_ns = 0;
	uint16_t port;
	int failed;

	(void)snprintf(name, sizeof name, "voter %s", address);
	if (!stream_split_address(address, QUORUM_DEFAULT_PORT, host, &port))
		return; /* the store as a whole says so */
	(void)snprintf(service, sizeof service, "%u", port);
	failed = getaddrinfo(host, service, &hints, &found);
	if (failed != 0) {
		output_finding(f, name, json_boolean(false), "", OUTPUT_WEAK, "no address: %s", gai_strerror(failed));
		return;
	}
	(void)clock_now_ns(&began_ns);
	failed = doctor_quorum_connect_to(found);
	(void)clock_now_ns(&ended_ns);
	freeaddrinfo(found);
	if (failed != 0)
		output_finding(f, name, json_boolean(false), "", OUTPUT_WEAK, "can't be reached: %s", strerror(failed));
	else
		output_finding(f, name, json_boolean(true), "", OUTPUT_OK, "takes connections, within %.1f ms",
		               (double)(ended_ns - began_ns) / (double)CLOCK_NS_PER_MS);
}

static void doctor_quorum_each(struct output_findings *f, const char *addresses)
{
	char address[STREAM_ADDRESS_ROOM];

	while (*addresses) {
		size_t length = strcspn(addresses, ",");

		if (length > 0 && length < sizeof address) {
			memcpy(address, addresses, length);
			address[length] = '\0';
			doctor_quorum_voter(f, address);
		}
		addresses += length + (addresses[length] == ',');
	}
}

static void doctor_quorum_view(struct output_findings *f, const struct store_view *v)
{
	char text[32];

	(void)snprintf(text, sizeof text, "%u of %u", v->voters_up, v->voters_of);
	output_finding(
	        f, "voters up", json_string(text), "", v->voters_up >= v->voters_of ? OUTPUT_OK : OUTPUT_WEAK, "%s",
	        v->voters_up >= v->voters_of
	                ? "of one cluster and of versions that understand each other"
	                : "a majority answers, but not all: out of reach, of another cluster, or not in the URL");
	output_finding(f, "ttl", json_integer((json_int_t)(v->ttl_ns / CLOCK_NS_PER_MS)), "ms", OUTPUT_OK,
	               "the lease that these settings would get");
}

int doctor_quorum_rows(struct cli *cli, struct output_findings *f, const char *addresses)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_status *s = NULL;
	struct tenure *t;
	int code = cli_open(cli, false, &t);

	if (code != 0)
		return code;
	doctor_quorum_each(f, addresses);
	code = tenure_read(t, DOCTOR_QUORUM_ELECTION, DOCTOR_QUORUM_LIMIT_NS, &s, &error);
	if (code == 0)
		doctor_quorum_view(f, client_status_view(s));
	else
		output_finding(f, "voters up", json_boolean(false), "", OUTPUT_UNSAFE, "%s",
		               code == TENURE_TIMEOUT ? "no majority answered within 5s" : error.message);
	tenure_status_free(s);
	(void)tenure_close(t, 0);
	return 0;
}
