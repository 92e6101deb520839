/* SPDX-License-Identifier: Apache-2.0 */
#include "base/structs.h"

#include <string.h>

#include <tenure/tenure.h>

int structs_import(void *out, size_t out_bytes, const void *in)
{
	size_t in_bytes;

	memset(out, 0, out_bytes);
	if (!in) {
		memcpy(out, &out_bytes, sizeof out_bytes);
		return 0;
	}
	memcpy(&in_bytes, in, sizeof in_bytes);
	if (in_bytes < sizeof in_bytes || in_bytes > 65536)
		return TENURE_EINVAL;
	for (size_t i = out_bytes; i < in_bytes; i++)
		if (((const char *)in)[i] != 0)
			return TENURE_EINVAL;
	memcpy(out, in, in_bytes < out_bytes ? in_bytes : out_bytes);
	memcpy(out, &out_bytes, sizeof out_bytes);
	return 0;
}
