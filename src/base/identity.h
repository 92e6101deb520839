/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An incarnation: 128 random bits of one session of one process, never stored. It is a bearer secret; others see its hash
 * alone, which is the 16 hex of the candidate's identity. PURE (libmd).
 */
#ifndef TENURE_BASE_IDENTITY_H
#define TENURE_BASE_IDENTITY_H

#include <stdint.h>

#define IDENTITY_INCARNATION_BYTES 16

/* The first 8 bytes of its SHA-256, the first one highest. */
uint64_t identity_public_hash(const uint8_t incarnation[IDENTITY_INCARNATION_BYTES]);

#endif
