/* SPDX-License-Identifier: Apache-2.0 */
/* Which descriptors a process of the supervisor keeps. */
#ifndef TENURE_SUPERVISOR_DESCRIPTORS_H
#define TENURE_SUPERVISOR_DESCRIPTORS_H

#include <stddef.h>

/*
 * Opens /dev/null in place of those of 0-2 that are closed, so that nothing of ours ever gets their numbers. Returns
 * them as bits, for descriptors_of_program() to close them again; TENURE_EIO with errno set.
 */
int descriptors_fill_standard(void);
/*
 * In warden and init: closes what the supervisor opened, but for `keep` (-1 in it stands for nothing). All of that is
 * close-on-exec from birth; what is not was inherited from whoever started us, and is passed on to the program.
 */
void descriptors_close_own(const int *keep, size_t n);
/* In the child that becomes the program: 0-2 as they were, and `lease_fd` (-1: none) survives exec. */
void descriptors_of_program(int closed_standard, int lease_fd);

#endif
