/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENURE_CLIENT_REGISTRY_H
#define TENURE_CLIENT_REGISTRY_H

#include "elector/store.h"

/* The store of a URL's scheme, or NULL with TENURE_ENOSTORE and the names of those that there are. */
const struct store_ops *registry_find(const char *scheme, struct tenure_error *error);

#endif
