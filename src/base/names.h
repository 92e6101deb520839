/* SPDX-License-Identifier: Apache-2.0 */
/* Which names are allowed (CONTRACT: Stores). PURE. */
#ifndef TENURE_BASE_NAMES_H
#define TENURE_BASE_NAMES_H

#define NAMES_ELECTION_MAX_BYTES 200
#define NAMES_ID_MAX_BYTES       64
/* <id>_<16 hex> and the terminator */
#define NAMES_IDENTITY_ROOM (NAMES_ID_MAX_BYTES + 1 + 16 + 1)
#define NAMES_ELECTION_ROOM (NAMES_ELECTION_MAX_BYTES + 1)

/* NULL when `name` is good, else what is wrong with it, to be put behind "bad election name 'x': ". */
const char *names_election_fault(const char *name);
/* The same for a candidate's label. Allowed: UTF-8 without spaces, control characters and '/'. */
const char *names_id_fault(const char *id);
/* The same for a guard's resource: the rules of an election. */
const char *names_resource_fault(const char *name);

#endif
