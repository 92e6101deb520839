/* SPDX-License-Identifier: Apache-2.0 */
#include "checker/checker.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define CHECKER_SHOWN 20 /* of each kind; the others are counted */

static void checker_no_memory(void)
{
	(void)fputs("tenure-checker: out of memory, no verdict\n", stderr);
	exit(70);
}

void *checker_grow(void *array, size_t n, size_t *room, size_t each_bytes)
{
	size_t more = *room ? *room * 2 : 64;

	if (n < *room)
		return array;
	array = reallocarray(array, more, each_bytes);
	if (!array)
		checker_no_memory();
	*room = more;
	return array;
}

char *checker_copy(const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		checker_no_memory();
	return copy;
}

void checker_init(struct checker *c, FILE *report)
{
	*c = (struct checker) { .report = report };
}

void checker_deinit(struct checker *c)
{
	for (size_t i = 0; i < c->n_tenures; i++) {
		free(c->tenures[i].election);
		free(c->tenures[i].node);
	}
	for (size_t i = 0; i < c->n_activities; i++)
		free(c->activities[i].holder);
	for (size_t i = 0; i < c->n_resources; i++)
		free(c->resources[i].name);
	free(c->tenures);
	free(c->activities);
	free(c->resources);
	free(c->writers);
	*c = (struct checker) { .report = c->report };
}

const char *checker_kind_name(enum checker_kind kind)
{
	static const char *const names[CHECKER_N_KINDS] = {
		[CHECKER_TWO_LEADERS] = "two leaders at once",
		[CHECKER_NOT_RISING] = "token not rising",
		[CHECKER_SHARED_TOKEN] = "one token used by two holders",
		[CHECKER_TWO_PROGRAMS] = "two programs at once",
		[CHECKER_STALE_WRITE] = "stale write admitted",
	};

	return names[kind];
}

void checker_violation(struct checker *c, enum checker_kind kind, const char *format, ...)
{
	va_list arguments;

	if (++c->n_violations[kind] > CHECKER_SHOWN)
		return;
	(void)fprintf(c->report, "violation: %s: ", checker_kind_name(kind));
	va_start(arguments, format);
	(void)vfprintf(c->report, format, arguments);
	va_end(arguments);
	(void)fputc('\n', c->report);
}

void checker_malformed(struct checker *c, struct checker_place place, const char *why)
{
	if (++c->n_malformed <= CHECKER_SHOWN)
		(void)fprintf(c->report, "malformed: %s:%zu: %s\n", place.file, place.line, why);
}

bool checker_has_input(const struct checker *c)
{
	return c->n_tenures || c->n_activities || c->n_admitted;
}
