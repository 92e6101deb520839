/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo_view.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/text.h"

#define DEMO_VIEW_FIELDS 8

void demo_view_init(struct demo_view *v)
{
	*v = (struct demo_view) { .fd = -1 };
}

void demo_view_deinit(struct demo_view *v)
{
	if (v->fd >= 0)
		(void)close(v->fd);
	v->fd = -1;
}

const struct demo_view_tenure *demo_view_find(const struct demo_view *v, uint64_t token)
{
	for (size_t i = v->n_tenures; i-- > 0;)
		if (v->tenures[i].token == token)
			return &v->tenures[i];
	return NULL;
}

const struct demo_view_tenure *demo_view_after(const struct demo_view *v, uint64_t token)
{
	const struct demo_view_tenure *found = NULL;

	for (size_t i = 0; i < v->n_tenures; i++)
		if (v->tenures[i].n_signs && v->tenures[i].token > (found ? found->token : token))
			found = &v->tenures[i];
	return found;
}

static struct demo_view_tenure *demo_view_tenure(struct demo_view *v, uint64_t token, const char *holder)
{
	struct demo_view_tenure *t = (struct demo_view_tenure *)(uintptr_t)demo_view_find(v, token);

	if (t)
		return t;
	if (v->n_tenures == DEMO_VIEW_TENURES)
		memmove(v->tenures, v->tenures + 1, --v->n_tenures * sizeof *v->tenures);
	t = &v->tenures[v->n_tenures++];
	*t = (struct demo_view_tenure) { .token = token };
	(void)snprintf(t->holder, sizeof t->holder, "%s", holder);
	return t;
}

/* "NS TOKEN PID KIND RESOURCE ADMITTED SEQUENCE HOLDER". What is malformed is the checker's affair. */
static void demo_view_line(struct demo_view *v, char *line)
{
	char *fields[DEMO_VIEW_FIELDS], *save = line;
	struct demo_view_tenure *t;
	uint64_t at_ns, token;

	for (size_t i = 0; i < DEMO_VIEW_FIELDS; i++)
		if (!(fields[i] = strsep(&save, " ")))
			return;
	if (!text_u64(fields[0], UINT64_MAX, &at_ns) || !text_u64(fields[1], UINT64_MAX, &token))
		return;
	t = demo_view_tenure(v, token, fields[7]);
	if (strcmp(fields[3], "write") == 0) {
		t->n_landed += strcmp(fields[5], "yes") == 0;
		t->n_refused += strcmp(fields[5], "no") == 0;
		return;
	}
	if (t->n_signs++ == 0 || at_ns < t->first_ns)
		t->first_ns = at_ns;
	if (at_ns > t->last_ns)
		t->last_ns = at_ns;
}

void demo_view_look(struct demo_view *v, const char *path)
{
	char data[8192];
	ssize_t n;

	if (v->fd < 0)
		v->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (v->fd < 0)
		return;
	while ((n = read(v->fd, data, sizeof data)) > 0)
		for (ssize_t i = 0; i < n; i++) {
			if (data[i] == '\n') {
				v->rest[v->rest_bytes] = '\0';
				v->rest_bytes = 0;
				demo_view_line(v, v->rest);
			} else if (v->rest_bytes + 1 < sizeof v->rest) {
				v->rest[v->rest_bytes++] = data[i];
			}
		}
}

static bool demo_view_lead(const json_t *record, struct demo_view_lead *lead)
{
	const char *to = json_string_value(json_object_get(record, "to"));
	const char *from = json_string_value(json_object_get(record, "from"));
	const char *node = json_string_value(json_object_get(record, "node"));
	const char *at = json_string_value(json_object_get(record, "node_ns"));

	if (!to || !from || !node || !at || strcmp(to, "leading") != 0 || strcmp(from, "at-risk") == 0)
		return false;
	if (!text_u64(at, UINT64_MAX, &lead->at_ns))
		return false;
	lead->token = (uint64_t)json_integer_value(json_object_get(record, "token"));
	(void)snprintf(lead->node, sizeof lead->node, "%s", node);
	return true;
}

bool demo_view_last_lead(const char *path, struct demo_view_lead *lead)
{
	FILE *in = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	bool found = false;
	ssize_t n;

	if (!in)
		return false;
	while ((n = getline(&line, &room, in)) > 0) {
		json_t *record = json_loadb(line, (size_t)n, 0, NULL);

		found = demo_view_lead(record, lead) || found;
		json_decref(record);
	}
	free(line);
	(void)fclose(in);
	return found;
}
