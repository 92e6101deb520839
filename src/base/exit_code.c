/* SPDX-License-Identifier: Apache-2.0 */
#include "base/exit_code.h"

#include <tenure/tenure.h>

int exit_code_of(int tenure_code)
{
	switch (tenure_code) {
	case TENURE_OK:
		return 0;
	case TENURE_EINVAL:
	case TENURE_EURL:
	case TENURE_ENAME:
	case TENURE_ENOSTORE:
	case TENURE_ENOENT:
	case TENURE_EAMBIGUOUS:
	case TENURE_EUNSUPPORTED:
		return 64;
	case TENURE_EUNREACHABLE:
	case TENURE_ELIMIT:
	case TENURE_ENOMEM:
		return 69;
	case TENURE_EIO:
		return 74;
	case TENURE_NOT_LEADING:
		return 75;
	case TENURE_EPROTO:
	case TENURE_EVERSION:
	case TENURE_ECLUSTER:
	case TENURE_EFOREIGN:
		return 76;
	case TENURE_EDENIED:
	case TENURE_REFUSED:
		return 77;
	case TENURE_EUNSAFE:
	case TENURE_ECLOCK:
		return 78;
	case TENURE_TIMEOUT:
		return 124;
	default: /* EEXIST, ESTATE, EFORKED, ECALLBACK, EINTERNAL: no user can cause them */
		return 70;
	}
}
