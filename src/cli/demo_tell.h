/* SPDX-License-Identifier: Apache-2.0 */
/* How `tenure demo` tells its story: numbered steps, and lines below them. */
#ifndef TENURE_CLI_DEMO_TELL_H
#define TENURE_CLI_DEMO_TELL_H

#include <stdbool.h>
#include <stdint.h>

struct demo_tell {
	bool colour;
	int n_steps;
};

/* Colours where stdout is a terminal that takes them, and NO_COLOR is not set. */
void demo_tell_init(struct demo_tell *t);
void demo_tell_step(struct demo_tell *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void demo_tell_more(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Milliseconds from one instant to another; 0 where it is the other way round. */
double demo_tell_ms(uint64_t from_ns, uint64_t to_ns);

#endif
