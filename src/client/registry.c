/* SPDX-License-Identifier: Apache-2.0 */
#include "client/registry.h"

#include <string.h>

#include "base/buf.h"
#include "base/error.h"

/* A build may add stores of its own: -DREGISTRY_MORE='"more.def"'. */
#define STORE(name) extern const struct store_ops name##_store_ops;
#include "client/registry.def"
#ifdef REGISTRY_MORE
#include REGISTRY_MORE
#endif
#undef STORE

static const struct store_ops *const registry_stores[] = {
#define STORE(name) &name##_store_ops,
#include "client/registry.def"
#ifdef REGISTRY_MORE
#include REGISTRY_MORE
#endif
#undef STORE
};

#define REGISTRY_COUNT (sizeof registry_stores / sizeof registry_stores[0])

const struct store_ops *registry_find(const char *scheme, struct tenure_error *error)
{
	char names[128];
	struct buf b;

	buf_init(&b, names, sizeof names);
	for (size_t i = 0; i < REGISTRY_COUNT; i++) {
		if (strcmp(registry_stores[i]->scheme, scheme) == 0)
			return registry_stores[i];
		if (i > 0)
			buf_text(&b, ", ");
		buf_text(&b, registry_stores[i]->scheme);
	}
	(void)error_set(error, TENURE_ENOSTORE, 0, "unknown store '%s': this version of Tenure has %s", scheme, names);
	return NULL;
}
