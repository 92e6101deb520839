/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the instant at which it began, in CLOCK_BOOTTIME ns; with an argument it then waits for its end. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct timespec t;

	(void)argv;
	if (clock_gettime(CLOCK_BOOTTIME, &t) != 0)
		return 1;
	printf("%llu\n", (unsigned long long)t.tv_sec * 1000000000u + (unsigned long long)t.tv_nsec);
	(void)fflush(stdout);
	if (argc > 1)
		for (;;)
			(void)pause();
	return 0;
}
