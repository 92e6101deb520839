/* SPDX-License-Identifier: Apache-2.0 */
/* What a voter tells about itself, in Prometheus' text format. PURE. */
#ifndef TENURE_QUORUM_VOTER_METRICS_H
#define TENURE_QUORUM_VOTER_METRICS_H

#include "base/buf.h"
#include "quorum/voter_server.h"

#define VOTER_METRICS_ROOM 16384

struct voter_metrics {
	const char *name, *version; /* of the voter; of Tenure */
	struct voter_server_stats stats;
	uint64_t now_ns; /* CLOCK_BOOTTIME */
};

void voter_metrics_write(struct buf *b, const struct voter_metrics *m);
/* NULL: it votes. Else why it does not, for /readyz; into `text`. */
const char *voter_metrics_not_ready(const struct voter_server_stats *s, uint64_t now_ns, char *text, size_t room);

#endif
