/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>

#include "cli/cli.h"

/*
 * A closed standard descriptor would be given to the first file that is opened, and messages would be written into a
 * counter. What stands in its place cannot be used in the wrong direction, so that output is not lost without an error.
 */
static unsigned main_fill_stdio(void)
{
	unsigned closed = 0;

	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0) {
			closed |= 1U << fd;
			if (open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd)
				return closed;
		}
	return closed;
}

int main(int argc, char **argv)
{
	return cli_main(argc, argv, main_fill_stdio());
}
