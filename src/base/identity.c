/* SPDX-License-Identifier: Apache-2.0 */
#include "base/identity.h"

#include <sha256.h>

uint64_t identity_public_hash(const uint8_t incarnation[IDENTITY_INCARNATION_BYTES])
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	uint64_t hash = 0;
	SHA2_CTX context;

	SHA256Init(&context);
	SHA256Update(&context, incarnation, IDENTITY_INCARNATION_BYTES);
	SHA256Final(digest, &context);
	for (unsigned i = 0; i < 8; i++)
		hash = hash << 8 | digest[i];
	return hash;
}
