/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

#include <errno.h>
#include <sys/random.h>

#include <tenure/tenure.h>

int random_bytes(void *bytes, size_t n_bytes)
{
	ssize_t got;

	do {
		got = getrandom(bytes, n_bytes, 0);
	} while (got < 0 && errno == EINTR);
	return got == (ssize_t)n_bytes ? 0 : TENURE_EINTERNAL;
}

int random_u64(uint64_t *value)
{
	return random_bytes(value, sizeof *value);
}
