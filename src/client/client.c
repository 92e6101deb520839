/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client.h"

#include "base/error.h"
#include "client/session.h"

uint32_t tenure_version(void)
{
	return (uint32_t)TENURE_VERSION_MAJOR << 16 | TENURE_VERSION_MINOR << 8 | TENURE_VERSION_PATCH;
}

const char *tenure_strerror(int code)
{
	switch (code) {
#define TENURE_X(name, value, text)                                                                                    \
	case value:                                                                                                    \
		return text;
		TENURE_ERRORS(TENURE_X)
#undef TENURE_X
	case TENURE_OK:
		return "success";
	case TENURE_TIMEOUT:
		return "time limit reached";
	case TENURE_NOT_LEADING:
		return "not leading";
	case TENURE_REFUSED:
		return "refused";
	default:
		return "unknown code";
	}
}

const char *client_identity(const struct tenure *t)
{
	return t->identity;
}

unsigned client_capabilities(const struct tenure *t)
{
	return t->ops->capabilities;
}

const char *client_scheme(const struct tenure *t)
{
	return t->ops->scheme;
}

void client_trace_to(struct tenure *t, client_trace_fn *fn, void *arg)
{
	session_lock(t);
	t->trace = fn;
	t->trace_arg = arg;
	session_unlock(t);
}

int client_timing(const struct tenure *t, struct lease_timing *out)
{
	*out = (struct lease_timing) { .ttl_ns = NS_NEVER };
	return t->ops->timing ? t->ops->timing(t->store, out) : 0;
}

int client_supervise(struct tenure *t, uint64_t grace_ns, uint64_t kill_margin_ns, struct tenure_error *error)
{
	char message[sizeof error->message];
	struct lease_timing timing;
	int code;

	session_lock(t);
	code = client_timing(t, &timing);
	timing.grace_ns = grace_ns;
	timing.kill_margin_ns = kill_margin_ns;
	if (code != 0)
		code = error_set(error, code, 0, "the %s store can't tell its timings", t->ops->scheme);
	else if (!t->embedded || !list_empty(&t->candidacies))
		code = error_set(error, TENURE_ESTATE, 0,
		                 "client_supervise: not embedded, or after the first campaign");
	else if (!lease_is_safe(&timing, message, sizeof message))
		code = error_set(error, TENURE_EUNSAFE, 0, "%s", message);
	if (code == 0) {
		t->supervised = timing.ttl_ns != NS_NEVER;
		t->grace_ns = grace_ns;
		t->kill_margin_ns = kill_margin_ns;
	}
	session_unlock(t);
	return code;
}

void client_proven_dead(struct tenure_candidacy *c)
{
	struct tenure *t = c->target.t;

	session_lock(t);
	candidacy_proven_dead(c);
	session_wake(t);
	session_unlock(t);
}

void client_deadlines_to(struct tenure *t, client_deadline_fn *fn, void *arg)
{
	session_lock(t);
	t->deadlines = fn;
	t->deadlines_arg = arg;
	session_unlock(t);
}

int client_share_lock(struct tenure_candidacy *c, int *fd)
{
	struct tenure *t = c->target.t;
	int code = TENURE_EUNSUPPORTED;

	session_lock(t);
	if (t->ops->capabilities & STORE_HAS_LOCK)
		code = t->ops->share_lock(c->seat, fd);
	session_unlock(t);
	return code;
}

void client_yield_lock(struct tenure_candidacy *c)
{
	struct tenure *t = c->target.t;

	session_lock(t);
	t->ops->yield_lock(c->seat);
	session_unlock(t);
}

void client_return_lock(struct tenure_candidacy *c, int fd)
{
	struct tenure *t = c->target.t;

	session_lock(t);
	t->ops->return_lock(c->seat, fd);
	session_unlock(t);
}

void client_lost_lock(struct tenure_candidacy *c)
{
	const struct elector_input lost = { .kind = ELECTOR_LOST,
		                            .now_ns = clock_now_or_zero_ns(),
		                            .cause = TENURE_BY_STORE };
	struct tenure *t = c->target.t;

	session_lock(t);
	candidacy_input(c, &lost, NULL);
	/* The lock is not ours any more, so this touches nothing on disk: the seat only goes back to rest. */
	t->ops->release(c->seat, "", TENURE_BY_STORE);
	session_wake(t);
	session_unlock(t);
}

int client_record_tree(struct tenure_candidacy *c, const struct store_tree *tree, struct tenure_error *error)
{
	struct tenure *t = c->target.t;
	int code;

	session_lock(t);
	code = t->ops->record_tree(c->seat, tree, error);
	session_unlock(t);
	return code;
}
