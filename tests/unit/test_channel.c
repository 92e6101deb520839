/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "supervisor/channel.h"

static void make(int ends[2])
{
	assert_int_equal(channel_pair(ends), 0);
	assert_true(fcntl(ends[0], F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(ends[1], F_GETFD) & FD_CLOEXEC);
}

static void a_message_arrives_whole_and_an_empty_channel_says_so(void **state)
{
	(void)state;
	int ends[2];
	struct channel_message message = { .type = CHANNEL_READY, .value = 7, .cgroup = "/x", .text = "why" }, got;
	make(ends);
	assert_int_equal(channel_receive(ends[1], &got, NULL), CHANNEL_NOTHING);
	assert_int_equal(channel_send(ends[0], &message, -1), 0);
	assert_int_equal(channel_receive(ends[1], &got, NULL), CHANNEL_MESSAGE);
	assert_memory_equal(&got, &message, sizeof got);
	assert_int_equal(channel_receive(ends[1], &got, NULL), CHANNEL_NOTHING);
	close(ends[0]);
	close(ends[1]);
}

static void the_last_words_of_a_dead_peer_are_heard_even_if_it_left_something_unread(void **state)
{
	(void)state;
	int ends[2];
	struct channel_message got;
	make(ends);
	assert_int_equal(channel_send_type(ends[0], CHANNEL_GO, 0), 0);
	assert_int_equal(channel_send_type(ends[1], CHANNEL_DEAD, 5), 0);
	close(ends[1]);
	assert_int_equal(channel_receive(ends[0], &got, NULL), CHANNEL_MESSAGE);
	assert_int_equal(got.type, CHANNEL_DEAD);
	assert_int_equal(got.value, 5);
	assert_int_equal(channel_receive(ends[0], &got, NULL), CHANNEL_CLOSED);
	assert_true(channel_send_type(ends[0], CHANNEL_GO, 0) < 0);
	close(ends[0]);
}

static void a_descriptor_comes_with_its_message_closed_on_exec(void **state)
{
	(void)state;
	int ends[2], pipes[2], passed = -1;
	char byte = 0;
	struct channel_message got;
	const struct channel_message message = { .type = CHANNEL_DEAD };
	make(ends);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(channel_send(ends[0], &message, pipes[1]), 0);
	close(pipes[1]);
	assert_int_equal(channel_receive(ends[1], &got, &passed), CHANNEL_MESSAGE);
	assert_true(passed >= 0);
	assert_true(fcntl(passed, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(passed, "x", 1), 1);
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	close(passed);
	/* who did not ask for one does not get one: the kernel drops it */
	assert_int_equal(channel_send(ends[0], &message, pipes[0]), 0);
	int before = dup(0);
	close(before);
	assert_int_equal(channel_receive(ends[1], &got, NULL), CHANNEL_MESSAGE);
	int after = dup(0);
	close(after);
	assert_int_equal(before, after);
	close(pipes[0]);
	close(ends[0]);
	close(ends[1]);
}

static void a_peer_that_speaks_otherwise_counts_as_gone(void **state)
{
	(void)state;
	int ends[2];
	struct channel_message got, message = { .type = CHANNEL_READY };
	make(ends);
	assert_int_equal(send(ends[0], &message, sizeof message - 1, 0), (ssize_t)sizeof message - 1);
	assert_int_equal(channel_receive(ends[1], &got, NULL), CHANNEL_CLOSED);
	memset(message.text, 'x', sizeof message.text);
	assert_int_equal(channel_send(ends[0], &message, -1), 0);
	assert_int_equal(channel_receive(ends[1], &got, NULL), CHANNEL_CLOSED);
	close(ends[0]);
	close(ends[1]);
}

static void a_peer_that_does_not_read_never_makes_us_wait(void **state)
{
	(void)state;
	int ends[2];
	size_t n = 0;
	make(ends);
	while (channel_send_type(ends[0], CHANNEL_SIGNAL, 1) == 0)
		assert_true(++n < 100000);
	assert_true(n > 10);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_arrives_whole_and_an_empty_channel_says_so),
		cmocka_unit_test(the_last_words_of_a_dead_peer_are_heard_even_if_it_left_something_unread),
		cmocka_unit_test(a_descriptor_comes_with_its_message_closed_on_exec),
		cmocka_unit_test(a_peer_that_speaks_otherwise_counts_as_gone),
		cmocka_unit_test(a_peer_that_does_not_read_never_makes_us_wait),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
