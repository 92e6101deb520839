/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <string.h>

#include "base/buf.h"
#include "base/clock.h"

#define TEXT_DURATION_MAX_NS (10ULL * 366 * 24 * 3600 * CLOCK_NS_PER_S)

bool text_u64_n(const char *text, size_t n_bytes, uint64_t max, uint64_t *value)
{
	uint64_t sum = 0;

	if (n_bytes == 0 || n_bytes > 20)
		return false;
	for (size_t i = 0; i < n_bytes; i++) {
		uint64_t digit = (uint64_t)(unsigned char)text[i] - '0';

		if (digit > 9 || sum > (UINT64_MAX - digit) / 10)
			return false;
		sum = sum * 10 + digit;
	}
	if (sum > max)
		return false;
	*value = sum;
	return true;
}

bool text_u64(const char *text, uint64_t max, uint64_t *value)
{
	return text_u64_n(text, strnlen(text, 21), max, value);
}

bool text_hex64_n(const char *text, size_t n_bytes, uint64_t *value)
{
	uint64_t sum = 0;

	if (n_bytes == 0 || n_bytes > 16)
		return false;
	for (size_t i = 0; i < n_bytes; i++) {
		unsigned char c = (unsigned char)text[i];
		uint64_t digit = c >= '0' && c <= '9'   ? c - (uint64_t)'0'
		                 : c >= 'a' && c <= 'f' ? c - (uint64_t)'a' + 10
		                                        : 16;

		if (digit > 15)
			return false;
		sum = sum << 4 | digit;
	}
	*value = sum;
	return true;
}

static size_t text_unit(const char *text, uint64_t *unit_ns)
{
	static const struct {
		char name[4];
		uint64_t ns;
	} units[] = {
		{ "ms", CLOCK_NS_PER_MS },
		{ "s", CLOCK_NS_PER_S },
		{ "m", 60 * CLOCK_NS_PER_S },
		{ "h", 3600 * CLOCK_NS_PER_S },
	};

	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		size_t length = strlen(units[i].name);

		if (strncmp(text, units[i].name, length) == 0) {
			*unit_ns = units[i].ns;
			return length;
		}
	}
	return 0;
}

static size_t text_digits(const char *text)
{
	return strspn(text, "0123456789");
}

bool text_duration_ns(const char *text, uint64_t *ns)
{
	uint64_t sum = 0;

	if (*text == '\0')
		return false;
	while (*text != '\0') {
		size_t n_whole = text_digits(text), n_part = 0, n_unit;
		uint64_t whole, unit_ns, scale;

		if (!text_u64_n(text, n_whole, TEXT_DURATION_MAX_NS, &whole))
			return false;
		if (text[n_whole] == '.') {
			n_part = text_digits(text + n_whole + 1);
			if (n_part == 0 || n_part > 9)
				return false;
		}
		n_unit = text_unit(text + n_whole + (n_part ? n_part + 1 : 0), &unit_ns);
		if (n_unit == 0 || whole > TEXT_DURATION_MAX_NS / unit_ns)
			return false;
		sum += whole * unit_ns;
		scale = unit_ns;
		for (size_t i = 0; i < n_part; i++) {
			scale /= 10;
			sum += scale * (uint64_t)(text[n_whole + 1 + i] - '0');
		}
		if (sum > TEXT_DURATION_MAX_NS)
			return false;
		text += n_whole + (n_part ? n_part + 1 : 0) + n_unit;
	}
	*ns = sum;
	return true;
}

static void text_fraction(struct buf *b, uint64_t ns, uint64_t unit_ns, const char *unit)
{
	uint64_t rest = ns % unit_ns, scale = unit_ns;

	buf_u64(b, ns / unit_ns);
	if (rest > 0)
		buf_char(b, '.');
	while (rest > 0) {
		scale /= 10;
		buf_char(b, (char)('0' + rest / scale));
		rest %= scale;
	}
	buf_text(b, unit);
}

const char *text_from_duration(uint64_t ns, char *out, size_t room)
{
	struct buf b;
	uint64_t hours = ns / (3600 * CLOCK_NS_PER_S), minutes = ns / (60 * CLOCK_NS_PER_S) % 60;

	buf_init(&b, out, room);
	if (ns == NS_NEVER) {
		buf_text(&b, "never");
		return out;
	}
	if (ns > 0 && ns < CLOCK_NS_PER_S) {
		text_fraction(&b, ns, CLOCK_NS_PER_MS, "ms");
		return out;
	}
	if (hours > 0) {
		buf_u64(&b, hours);
		buf_char(&b, 'h');
	}
	if (minutes > 0) {
		buf_u64(&b, minutes);
		buf_char(&b, 'm');
	}
	if (ns % (60 * CLOCK_NS_PER_S) > 0 || ns == 0)
		text_fraction(&b, ns % (60 * CLOCK_NS_PER_S), CLOCK_NS_PER_S, "s");
	return out;
}
