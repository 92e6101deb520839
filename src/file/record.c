/* SPDX-License-Identifier: Apache-2.0 */
#include "file/record.h"

#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "base/text.h"

#define RECORD_HEAD "tenure-record "

enum record_kind { RECORD_U64, RECORD_TEXT, RECORD_PROCESS, RECORD_VALUE };

struct record_field {
	char name[16]; /* not a pointer: the table stays read-only */
	enum record_kind kind;
	size_t offset, room;
};

#define RECORD_FIELD(text, kind, member)                                                                               \
	{                                                                                                              \
		text, kind, offsetof(struct record, member), sizeof(((struct record *)0)->member)                      \
	}

static const struct record_field record_fields[] = {
	RECORD_FIELD("leading", RECORD_U64, leading),
	RECORD_FIELD("id", RECORD_TEXT, id),
	RECORD_FIELD("identity", RECORD_TEXT, identity),
	RECORD_FIELD("token", RECORD_U64, token),
	RECORD_FIELD("since_unix_ns", RECORD_U64, since_unix_ns),
	RECORD_FIELD("cause", RECORD_U64, cause),
	RECORD_FIELD("boot", RECORD_TEXT, scope.boot_id),
	RECORD_FIELD("pid_ns", RECORD_U64, scope.pid_ns_inode),
	RECORD_FIELD("time_ns", RECORD_U64, scope.time_ns_inode),
	RECORD_FIELD("holder", RECORD_PROCESS, holder),
	RECORD_FIELD("has_tree", RECORD_U64, has_tree),
	RECORD_FIELD("warden", RECORD_PROCESS, warden),
	RECORD_FIELD("init", RECORD_PROCESS, init),
	RECORD_FIELD("containment", RECORD_TEXT, containment),
	RECORD_FIELD("cgroup", RECORD_TEXT, cgroup),
	RECORD_FIELD("page", RECORD_TEXT, page),
	RECORD_FIELD("lock_dev", RECORD_U64, lock_dev),
	RECORD_FIELD("lock_inode", RECORD_U64, lock_inode),
	RECORD_FIELD("value", RECORD_VALUE, value),
};

#define RECORD_N_FIELDS (sizeof record_fields / sizeof record_fields[0])

static void record_encode(struct buf *b, const unsigned char *bytes, size_t n_bytes)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-:/";

	for (size_t i = 0; i < n_bytes; i++) {
		if (bytes[i] != '\0' && strchr(plain, bytes[i])) {
			buf_char(b, (char)bytes[i]);
			continue;
		}
		buf_char(b, '%');
		buf_char(b, "0123456789abcdef"[bytes[i] >> 4]);
		buf_char(b, "0123456789abcdef"[bytes[i] & 15]);
	}
}

/* Decodes into at most `room` bytes; false where it does not fit or is malformed. */
static bool record_decode(const char *text, size_t n, unsigned char *out, size_t room, size_t *used)
{
	*used = 0;
	for (size_t i = 0; i < n; i++) {
		uint64_t byte = (unsigned char)text[i];

		if (byte == '%') {
			if (i + 2 >= n || !text_hex64_n(text + i + 1, 2, &byte))
				return false;
			i += 2;
		}
		if (*used == room)
			return false;
		out[(*used)++] = (unsigned char)byte;
	}
	return true;
}

static void record_put(struct buf *b, const struct record *r, const struct record_field *f)
{
	const char *at = (const char *)r + f->offset;
	const struct process_id *process = (const void *)at;

	buf_text(b, f->name);
	buf_char(b, ' ');
	switch (f->kind) {
	case RECORD_U64:
		buf_u64(b, *(const uint64_t *)(const void *)at);
		break;
	case RECORD_TEXT:
		record_encode(b, (const unsigned char *)at, strnlen(at, f->room));
		break;
	case RECORD_PROCESS:
		buf_u64(b, (uint64_t)process->pid);
		buf_char(b, ' ');
		buf_u64(b, process->start_ticks);
		break;
	case RECORD_VALUE:
		record_encode(b, r->value, r->value_bytes);
		break;
	}
	buf_char(b, '\n');
}

size_t record_format(const struct record *r, char *out, size_t room)
{
	struct buf b;

	buf_init(&b, out, room);
	CHECK(r->value_bytes <= sizeof r->value);
	buf_text(&b, RECORD_HEAD "1\n");
	for (size_t i = 0; i < RECORD_N_FIELDS; i++)
		record_put(&b, r, &record_fields[i]);
	if (!b.overflow) {
		uint32_t checksum = crc32c(out, b.used);

		buf_text(&b, "end ");
		buf_hex64(&b, checksum);
		buf_char(&b, '\n');
	}
	return b.overflow ? 0 : b.used;
}

static bool record_get_process(struct process_id *process, const char *text, size_t n)
{
	const char *space = memchr(text, ' ', n);
	uint64_t pid;

	if (!space || !text_u64_n(text, (size_t)(space - text), INT32_MAX, &pid))
		return false;
	process->pid = (int32_t)pid;
	return text_u64_n(space + 1, n - (size_t)(space - text) - 1, UINT64_MAX, &process->start_ticks);
}

static bool record_get(struct record *r, const struct record_field *f, const char *text, size_t n)
{
	char *at = (char *)r + f->offset;
	size_t used;

	switch (f->kind) {
	case RECORD_U64:
		return text_u64_n(text, n, UINT64_MAX, (uint64_t *)(void *)at);
	case RECORD_TEXT:
		/* The room is one byte more than the text may have, and was zeroed: it stays terminated. */
		return record_decode(text, n, (unsigned char *)at, f->room - 1, &used) && !memchr(at, '\0', used);
	case RECORD_PROCESS:
		return record_get_process((struct process_id *)(void *)at, text, n);
	case RECORD_VALUE:
		return record_decode(text, n, r->value, sizeof r->value, &r->value_bytes);
	}
	return false;
}

/* Takes the line at *text off; NULL at the end or where no newline ends it. */
static const char *record_line(const char **text, const char *end, size_t *n)
{
	const char *line = *text, *newline = line < end ? memchr(line, '\n', (size_t)(end - line)) : NULL;

	if (!newline)
		return NULL;
	*n = (size_t)(newline - line);
	*text = newline + 1;
	return line;
}

static bool record_fields_parse(struct record *r, const char *text, const char *end, const char *start)
{
	size_t n;
	uint64_t checksum;
	const char *line;

	for (size_t i = 0; i < RECORD_N_FIELDS; i++) {
		size_t length = strlen(record_fields[i].name);

		line = record_line(&text, end, &n);
		if (!line || n < length + 1 || memcmp(line, record_fields[i].name, length) != 0 ||
		    line[length] != ' ' || !record_get(r, &record_fields[i], line + length + 1, n - length - 1))
			return false;
	}
	line = record_line(&text, end, &n);
	return line && text == end && n == 4 + 16 && memcmp(line, "end ", 4) == 0 &&
	       text_hex64_n(line + 4, 16, &checksum) && checksum == crc32c(start, (size_t)(line - start));
}

/* What the rest of the store relies on. */
static bool record_plausible(const struct record *r)
{
	return r->leading <= 1 && r->has_tree <= 1 && r->token >= 1 && r->token <= (uint64_t)TENURE_TOKEN_MAX &&
	       r->cause <= TENURE_BY_HEALTH && r->since_unix_ns <= INT64_MAX && !names_id_fault(r->id) &&
	       r->identity[0] != '\0';
}

int record_parse(struct record *r, const char *text, size_t n_bytes, const char *path, struct tenure_error *error)
{
	const char *rest = text, *end = text + n_bytes, *line;
	size_t n = 0;
	uint64_t version;

	memset(r, 0, sizeof *r);
	line = n_bytes <= RECORD_MAX_BYTES ? record_line(&rest, end, &n) : NULL;
	if (!line || n <= strlen(RECORD_HEAD) || memcmp(line, RECORD_HEAD, strlen(RECORD_HEAD)) != 0 ||
	    !text_u64_n(line + strlen(RECORD_HEAD), n - strlen(RECORD_HEAD), UINT64_MAX, &version))
		return error_set(error, TENURE_EFOREIGN, 0,
		                 "%s is not a record of Tenure; move it away once you know that no holder of this "
		                 "election lives",
		                 path);
	if (version != 1)
		return error_set(error, TENURE_EVERSION, 0,
		                 "%s has version %llu, this Tenure reads 1; use the newer one", path,
		                 (unsigned long long)version);
	if (!record_fields_parse(r, rest, end, text) || !record_plausible(r))
		return error_set(error, TENURE_EFOREIGN, 0,
		                 "%s is damaged; move it away once you know that no holder of this election lives",
		                 path);
	return 0;
}
