/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo_tell.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void demo_tell_init(struct demo_tell *t)
{
	const char *terminal = getenv("TERM");

	*t = (struct demo_tell) { .colour = isatty(1) && !getenv("NO_COLOR") && terminal &&
		                            strcmp(terminal, "dumb") != 0 };
}

void demo_tell_step(struct demo_tell *t, const char *format, ...)
{
	va_list arguments;

	printf("%s%2d%s  ", t->colour ? "\033[1m" : "", ++t->n_steps, t->colour ? "\033[0m" : "");
	va_start(arguments, format);
	(void)vprintf(format, arguments);
	va_end(arguments);
	(void)putchar('\n');
	(void)fflush(stdout);
}

void demo_tell_more(const char *format, ...)
{
	va_list arguments;

	(void)fputs("    ", stdout);
	va_start(arguments, format);
	(void)vprintf(format, arguments);
	va_end(arguments);
	(void)putchar('\n');
	(void)fflush(stdout);
}

double demo_tell_ms(uint64_t from_ns, uint64_t to_ns)
{
	return to_ns > from_ns ? (double)(to_ns - from_ns) / 1e6 : 0;
}
