/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/logs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "cli/output.h"

#define LOGS_LINE_ROOM 4096

static const char *const logs_names[] = { "emergency", "alert",  "critical", "error",
	                                  "warning",   "notice", "info",     "debug" };

/* systemd sets JOURNAL_STREAM to "device:inode" of the stream; a redirected stderr is another one (sd-daemon(3)). */
static bool logs_to_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char own[64];
	struct stat st;

	if (!stream || fstat(STDERR_FILENO, &st) != 0)
		return false;
	(void)snprintf(own, sizeof own, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(stream, own) == 0;
}

void logs_init(struct logs *l, const char *verb)
{
	*l = (struct logs) { .verb = verb, .journal = logs_to_journal(), .level = LOGS_LEVEL_DEFAULT };
}

int logs_level(const char *name)
{
	for (int i = 3; i < 8; i++)
		if (strcmp(logs_names[i], name) == 0)
			return i;
	return -1;
}

static void logs_json(struct buf *b, int level, const char *component, const char *text)
{
	char at[OUTPUT_TIME_ROOM];

	buf_text(b, "{\"at\":\"");
	buf_text(b, output_time(at, clock_unix_ns()));
	buf_text(b, "\",\"level\":\"");
	buf_text(b, logs_names[level]);
	buf_text(b, "\",\"component\":");
	buf_json(b, component, strlen(component));
	buf_text(b, ",\"text\":");
	buf_json(b, text, strlen(text));
	buf_text(b, "}");
}

static void logs_text(struct buf *b, const struct logs *l, int level, const char *text)
{
	size_t length = strlen(text);

	if (l->journal) {
		buf_char(b, '<');
		buf_u64(b, (uint64_t)level);
		buf_char(b, '>');
	}
	buf_text(b, "tenure");
	if (l->verb) {
		buf_char(b, ' ');
		buf_text(b, l->verb);
	}
	buf_text(b, ": ");
	/* A line is a record of text: what would begin another one, move the cursor or is no UTF-8 is replaced. */
	for (size_t i = 0; i < length;) {
		size_t step = buf_utf8_length(text + i, length - i);

		if (step == 0)
			buf_text(b, "\xef\xbf\xbd");
		else if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			buf_char(b, ' ');
		else
			buf_bytes(b, text + i, step);
		i += step ? step : 1;
	}
}

void logs_write(void *arg, int level, const char *component, const char *text)
{
	const struct logs *l = arg;
	char line[LOGS_LINE_ROOM];
	struct buf b;
	ssize_t written;

	if (level > l->level || level < 0 || level > 7)
		return;
	buf_init(&b, line, sizeof line - 1);
	if (l->json)
		logs_json(&b, level, component, text);
	else
		logs_text(&b, l, level, text);
	line[b.used] = '\n';
	written = write(STDERR_FILENO, line, b.used + 1);
	(void)written; /* nowhere to complain to */
}
