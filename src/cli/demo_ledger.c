/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo_ledger.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

static int demo_ledger_line(struct demo_ledger *l, uint64_t at_ns, const char *kind, const char *resource,
                            const char *admitted)
{
	char line[DEMO_LEDGER_LINE_BYTES + 1];
	int n = snprintf(line, sizeof line, "%" PRIu64 " %" PRIu64 " %ld %s %s %s %" PRIu64 " %s", at_ns, l->token,
	                 (long)getpid(), kind, resource, admitted, ++l->sequence, l->holder);

	if (n < 0 || n >= DEMO_LEDGER_LINE_BYTES) {
		errno = EMSGSIZE;
		return -1;
	}
	memset(line + n, ' ', (size_t)(DEMO_LEDGER_LINE_BYTES - n));
	line[DEMO_LEDGER_LINE_BYTES - 1] = '\n';
	return write(l->fd, line, DEMO_LEDGER_LINE_BYTES) == DEMO_LEDGER_LINE_BYTES ? 0 : -1;
}

int demo_ledger_sign(struct demo_ledger *l, const char *kind)
{
	return demo_ledger_line(l, clock_now_or_zero_ns(), kind, "-", "-");
}

int demo_ledger_sign_at(struct demo_ledger *l, const char *kind, uint64_t at_ns)
{
	return demo_ledger_line(l, at_ns, kind, "-", "-");
}

int demo_ledger_write(struct demo_ledger *l, const char *resource, int admitted)
{
	return demo_ledger_line(l, clock_now_or_zero_ns(), "write", resource, admitted ? "yes" : "no");
}
