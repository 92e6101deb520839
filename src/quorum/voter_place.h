/* SPDX-License-Identifier: Apache-2.0 */
/* Is this store the one that was made here, or a copy of it? See voter_disk.h. Blocks. */
#ifndef TENURE_QUORUM_VOTER_PLACE_H
#define TENURE_QUORUM_VOTER_PLACE_H

#include <tenure/tenure.h>

/*
 * Writes `place` anew into the store, durably but for its name. `path` is the store's, for messages. 0; TENURE_EIO,
 * TENURE_ELIMIT.
 */
int voter_place_write(int dirfd, const char *path, struct tenure_error *error);
/*
 * 0: the store is where `place` was written, or `place` was removed, which is how somebody says that this is the store
 * itself: then it is written again. TENURE_EUNSAFE: it is a copy, or its `place` is damaged. TENURE_EIO, TENURE_ELIMIT.
 */
int voter_place_check(int dirfd, const char *path, struct tenure_error *error);

#endif
