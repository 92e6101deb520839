/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ini file with one section and known keys, each at most once. What it does not know it refuses, with the file and
 * the line. PURE: bytes in, calls out.
 */
#ifndef TENURE_CLI_CONFIG_FILE_H
#define TENURE_CLI_CONFIG_FILE_H

#include <stddef.h>

#include <tenure/tenure.h>

#define CONFIG_MAX_BYTES      65536
#define CONFIG_LINE_MAX_BYTES 190 /* inih cuts lines at 200 bytes, into a second key and without an error */
#define CONFIG_FILE_MAX_KEYS  32

struct config_file;

struct config_file_format {
	const char *section;
	const char *const *keys;
	size_t n_keys;
	const char *known; /* the same for people: "store, id, ttl" */
	/* One of the keys, with its value; config_file_fault() where it is bad. */
	void (*set)(struct config_file *f, void *config, const char *key, const char *value);
};

/* Only the first one is kept. */
void config_file_fault(struct config_file *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* 0; TENURE_EINVAL with "NAME:LINE: what is wrong"; TENURE_ENOMEM. */
int config_file_parse(const struct config_file_format *format, void *config, const char *name, const char *text,
                      size_t n_bytes, struct tenure_error *error);

#endif
