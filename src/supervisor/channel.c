/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <tenure/tenure.h>

union channel_control {
	struct cmsghdr header; /* for its alignment */
	char room[CMSG_SPACE(sizeof(int))];
};

int channel_pair(int ends[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0 ? 0 : TENURE_EIO;
}

static void channel_attach(struct msghdr *header, union channel_control *control, int fd)
{
	memset(control, 0, sizeof *control);
	header->msg_control = control->room;
	header->msg_controllen = sizeof control->room;
	struct cmsghdr *c = CMSG_FIRSTHDR(header);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
}

int channel_send(int end, const struct channel_message *message, int pass_fd)
{
	struct channel_message copy = *message;
	struct iovec part = { .iov_base = &copy, .iov_len = sizeof copy };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
	union channel_control control;
	if (pass_fd >= 0)
		channel_attach(&header, &control, pass_fd);
	ssize_t n;
	do {
		n = sendmsg(end, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
		/* ECONNRESET tells once that the peer left something unread; the next call tells whether it is gone */
	} while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	return n == (ssize_t)sizeof copy ? 0 : TENURE_EIO;
}

int channel_send_type(int end, enum channel_type type, int32_t value)
{
	struct channel_message message = { .type = type, .value = value };
	return channel_send(end, &message, -1);
}

static int channel_detach(struct msghdr *header)
{
	int fd = -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof fd))
			memcpy(&fd, CMSG_DATA(c), sizeof fd);
	return fd;
}

int channel_receive(int end, struct channel_message *message, int *passed_fd)
{
	struct iovec part = { .iov_base = message, .iov_len = sizeof *message };
	union channel_control control;
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
	if (passed_fd) {
		*passed_fd = -1;
		header.msg_control = control.room;
		header.msg_controllen = sizeof control.room;
	}
	ssize_t n;
	do {
		n = recvmsg(end, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		/* the kernel reports ECONNRESET before what the dead peer had still sent */
	} while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? CHANNEL_NOTHING : CHANNEL_CLOSED;
	int fd = passed_fd && n > 0 ? channel_detach(&header) : -1;
	if (n != (ssize_t)sizeof *message || memchr(message->cgroup, '\0', sizeof message->cgroup) == NULL ||
	    memchr(message->text, '\0', sizeof message->text) == NULL) {
		if (fd >= 0)
			close(fd);
		return CHANNEL_CLOSED;
	}
	if (passed_fd)
		*passed_fd = fd;
	return CHANNEL_MESSAGE;
}
