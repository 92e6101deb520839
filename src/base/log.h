/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines go to the application's function; without one they are dropped. */
#ifndef TENURE_BASE_LOG_H
#define TENURE_BASE_LOG_H

#include <tenure/tenure.h>

struct log {
	tenure_log_fn *fn; /* or NULL */
	void *arg;
};

/* `level` is syslog's: 0 emerg .. 3 err, 4 warning, 5 notice, 6 info, 7 debug. Lines are cut at 511 bytes. */
void log_write(const struct log *log, int level, const char *component, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

#endif
