/* SPDX-License-Identifier: Apache-2.0 */
/* Included first by the compiler's command line: functions that have a safer form are compile errors by their name. */
#ifndef TENURE_BASE_FORBIDDEN_H
#define TENURE_BASE_FORBIDDEN_H

/* Their own declarations must have been seen before the names are poisoned. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol atoll gets localtime gmtime ctime asctime

#endif
