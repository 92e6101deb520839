/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of `tenure timing` for a quorum: leases on the voters' clocks, belief on the candidate's (PROTOCOL 3, 16). */
#ifndef TENURE_CLI_TIMING_QUORUM_H
#define TENURE_CLI_TIMING_QUORUM_H

#include <jansson.h>

#include "cli/output.h"
#include "elector/lease.h"

struct timing_quorum {
	struct lease_timing lease; /* h and r follow from ttl and rtt */
	uint64_t rtt_ns;
	uint64_t max_ttl_ns, max_ttl_v_ns; /* of the voters */
};

/* Fills in h and r from ttl and rtt. */
void timing_quorum_derive(struct timing_quorum *t);
void timing_quorum_rows(struct output_findings *f, const struct timing_quorum *t);
/* Milliseconds as JSON: an integer where it is one; null for NEVER. */
json_t *timing_ms(uint64_t ns);

#endif
