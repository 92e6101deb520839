/* SPDX-License-Identifier: Apache-2.0 */
/* Voters in processes of their own, on loopback ports that the kernel picked, with their stores in a fresh directory. */
#ifndef TENURE_TESTS_QUORUM_KIT_H
#define TENURE_TESTS_QUORUM_KIT_H

#include "fixture.h"

#include <sys/types.h>

#define CLUSTER_MAX_VOTERS 9

struct cluster {
	char directory[FIXTURE_URL_ROOM];
	char url[FIXTURE_URL_ROOM];
	unsigned n;
	uint16_t ports[CLUSTER_MAX_VOTERS];
	pid_t pids[CLUSTER_MAX_VOTERS]; /* 0: not running */
};

/* Made by 'tenure server init', started, and listening on return. `max_ttl`: "2s". Never fails but by failing the test. */
struct cluster *cluster_new(unsigned n_voters, const char *max_ttl);
/* The voters are killed, their stores removed. */
void cluster_free(struct cluster *c);
void cluster_start(struct cluster *c, unsigned voter);
void cluster_signal(const struct cluster *c, unsigned voter, int number);
void cluster_kill(struct cluster *c, unsigned voter); /* kill -9 */
int cluster_stop(struct cluster *c, unsigned voter);  /* SIGTERM; the exit code */
/* "127.0.0.1:PORT" */
const char *cluster_address(const struct cluster *c, unsigned voter, char out[64]);

/* For fixture.c. */
void cluster_fixture_url(char url[FIXTURE_URL_ROOM]);
void cluster_fixture_gone(const char *url);

#endif
