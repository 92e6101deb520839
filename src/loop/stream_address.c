/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "loop/stream_inside.h"

#define STREAM_HOST_MAX_BYTES 253
#define STREAM_HOST_BYTES     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"

static bool stream_is_v6(const char *host)
{
	char plain[STREAM_ADDRESS_ROOM];
	struct in6_addr v6;
	size_t length = strcspn(host, "%");

	if (host[length] == '%' &&
	    (!host[length + 1] || strspn(host + length + 1, STREAM_HOST_BYTES) != strlen(host + length + 1)))
		return false;
	memcpy(plain, host, length);
	plain[length] = '\0';
	return inet_pton(AF_INET6, plain, &v6) == 1;
}

bool stream_split_address(const char *address, uint16_t default_port, char host[STREAM_ADDRESS_ROOM], uint16_t *port)
{
	bool bracket = address[0] == '[';
	const char *begin = address + bracket, *end = bracket ? strchr(begin, ']') : begin + strcspn(begin, ":");
	const char *rest = end ? end + bracket : NULL;
	uint64_t number = default_port;

	if (!end || end == begin || end - begin > STREAM_HOST_MAX_BYTES)
		return false;
	memcpy(host, begin, (size_t)(end - begin));
	host[end - begin] = '\0';
	if (bracket ? !stream_is_v6(host) : strspn(host, STREAM_HOST_BYTES) != strlen(host))
		return false;
	if (rest[0] && (rest[0] != ':' || !text_u64(rest + 1, UINT16_MAX, &number)))
		return false;
	*port = (uint16_t)number;
	return true;
}

bool stream_is_loopback(const char *address)
{
	char host[STREAM_ADDRESS_ROOM];
	struct in_addr v4;
	struct in6_addr v6;
	uint16_t port;

	if (!stream_split_address(address, 1, host, &port))
		return false;
	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, host, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
	return strcasecmp(host, "localhost") == 0;
}

void stream_name_of(const struct sockaddr *address, socklen_t n_bytes, char out[STREAM_ADDRESS_ROOM])
{
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (getnameinfo(address, n_bytes, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		(void)snprintf(out, STREAM_ADDRESS_ROOM, "?");
	else
		(void)snprintf(out, STREAM_ADDRESS_ROOM,
		               address->sa_family == AF_INET6 ? "[%.240s]:%.8s" : "%.240s:%.8s", host, port);
}
