/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

int error_code_of_errno(int os_errno)
{
	return os_errno == EMFILE || os_errno == ENFILE ? TENURE_ELIMIT : TENURE_EIO;
}

bool error_retryable(int code)
{
	return code == TENURE_EUNREACHABLE || code == TENURE_EIO || code == TENURE_ELIMIT || code == TENURE_ENOMEM;
}

void error_copy(struct tenure_error *to, const struct tenure_error *from)
{
	size_t size, bytes;

	if (!to || to->struct_size < sizeof to->struct_size)
		return;
	size = to->struct_size;
	bytes = size < sizeof *from ? size : sizeof *from;
	memcpy((char *)to + sizeof size, (const char *)from + sizeof size, bytes - sizeof size);
	if (bytes > offsetof(struct tenure_error, message))
		((char *)to)[bytes - 1] = '\0';
}

void error_clear(struct tenure_error *error)
{
	error_copy(error, &(struct tenure_error) { .code = TENURE_OK });
}

/* Ends the text at the last whole UTF-8 character before `room` bytes. */
static void error_cut(char *text, size_t room)
{
	size_t at = 0, length = strnlen(text, room - 1);

	while (at < length) {
		size_t step = buf_utf8_length(text + at, length - at);

		if (step == 0 && length - at < 4 && length == room - 1)
			break;
		at += step ? step : 1;
	}
	text[at] = '\0';
}

/* Appends what the system says. Of a text that is too long for both the end goes: the reason is what helps. */
static void error_reason(char *text, size_t room, int os_errno)
{
	char words[96], reason[112];
	size_t used = strlen(text), length;

	(void)snprintf(reason, sizeof reason, ": %s", strerror_r(os_errno, words, sizeof words));
	length = strlen(reason);
	if (used + length >= room) {
		(void)snprintf(reason, sizeof reason, "...: %s", strerror_r(os_errno, words, sizeof words));
		length = strlen(reason);
		error_cut(text, room - length);
		used = strlen(text);
	}
	memcpy(text + used, reason, length + 1);
}

#undef error_set
int error_set(struct tenure_error *error, int code, int os_errno, const char *format, ...)
{
	struct tenure_error full = { .code = code, .os_errno = os_errno, .retryable = error_retryable(code) };
	va_list arguments;

	if (!error)
		return code;
	va_start(arguments, format);
	(void)vsnprintf(full.message, sizeof full.message, format, arguments);
	va_end(arguments);
	if (os_errno != 0)
		error_reason(full.message, sizeof full.message, os_errno);
	error_cut(full.message, sizeof full.message);
	error_copy(error, &full);
	return code;
}
