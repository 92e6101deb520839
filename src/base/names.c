/* SPDX-License-Identifier: Apache-2.0 */
#include "base/names.h"

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"

static bool names_is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

const char *names_election_fault(const char *name)
{
	size_t length = strnlen(name, NAMES_ELECTION_MAX_BYTES + 1);

	if (length == 0)
		return "it is empty";
	if (length > NAMES_ELECTION_MAX_BYTES)
		return "it is longer than 200 bytes";
	if (name[0] == '_')
		return "names that begin with '_' are reserved";
	if (!names_is_alnum(name[0]))
		return "it must begin with a letter or a digit";
	for (size_t i = 1; i < length; i++)
		if (!names_is_alnum(name[i]) && name[i] != '.' && name[i] != '_' && name[i] != '-')
			return "only letters, digits, '.', '_' and '-' are allowed";
	if (strstr(name, ".."))
		return "it must not contain '..'";
	return NULL;
}

const char *names_resource_fault(const char *name)
{
	return names_election_fault(name);
}

const char *names_id_fault(const char *id)
{
	size_t length = strnlen(id, NAMES_ID_MAX_BYTES + 1);

	if (length == 0)
		return "it is empty";
	if (length > NAMES_ID_MAX_BYTES)
		return "it is longer than 64 bytes";
	for (size_t i = 0; i < length;) {
		size_t step = buf_utf8_length(id + i, length - i);
		unsigned char c = (unsigned char)id[i];

		if (step == 0)
			return "it is not UTF-8";
		if (step == 1 && (c <= 0x20 || c == 0x7f))
			return "it contains a space or a control character";
		if (step == 2 && c == 0xc2 && (unsigned char)id[i + 1] < 0xa0)
			return "it contains a control character";
		if (c == '/')
			return "it contains '/'";
		i += step;
	}
	return NULL;
}
