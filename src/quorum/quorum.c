/* SPDX-License-Identifier: Apache-2.0 */
#include "quorum/quorum.h"

#include <sha256.h>

uint64_t quorum_public_hash(const struct quorum_id *inc)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	uint64_t hash = 0;
	SHA2_CTX context;

	SHA256Init(&context);
	SHA256Update(&context, inc->bytes, sizeof inc->bytes);
	SHA256Final(digest, &context);
	for (unsigned i = 0; i < 8; i++)
		hash = hash << 8 | digest[i];
	return hash;
}
