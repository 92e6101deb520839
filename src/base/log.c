/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

void log_write(const struct log *log, int level, const char *component, const char *format, ...)
{
	char text[512];
	va_list arguments;

	if (!log->fn)
		return;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	log->fn(log->arg, level, component, text);
}
