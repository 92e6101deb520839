/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/fs.h"
#include "base/slots.h"

#define MAGIC SLOTS_MAGIC_GUARD

static void crc32c_agrees_with_rfc_3720(void **state)
{
	unsigned char bytes[32];

	(void)state;
	assert_int_equal(crc32c("123456789", 9), 0xe3069283u);
	assert_int_equal(crc32c("", 0), 0);
	memset(bytes, 0, sizeof bytes);
	assert_int_equal(crc32c(bytes, sizeof bytes), 0x8a9136aau);
	memset(bytes, 0xff, sizeof bytes);
	assert_int_equal(crc32c(bytes, sizeof bytes), 0x62a8ab43u);
	for (unsigned i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)i;
	assert_int_equal(crc32c(bytes, sizeof bytes), 0x46dd794eu);
}

/* A file whose slots carry `first` and `second` under neighbouring sequences, the second the present one. */
static void pair(unsigned char out[SLOTS_BYTES], uint64_t sequence, uint64_t first, uint64_t second)
{
	unsigned place = sequence % 2 == 1 ? 0 : 1;

	slots_encode(out + (size_t)place * 64, MAGIC, sequence, second);
	slots_encode(out + (size_t)!place * 64, MAGIC, sequence - 1, first);
}

static int decode(struct slots *s, const unsigned char *bytes, size_t n_bytes, struct tenure_error *error)
{
	*error = (struct tenure_error)TENURE_ERROR_INIT;
	return slots_decode(s, MAGIC, bytes, n_bytes, "DIR/job", error);
}

static void refuses(const unsigned char *bytes, size_t n_bytes, int code, const char *words)
{
	struct slots s = { .value = 4711 };
	struct tenure_error error;

	assert_int_equal(decode(&s, bytes, n_bytes, &error), code);
	assert_int_equal(error.code, code);
	assert_non_null(strstr(error.message, "DIR/job"));
	if (!strstr(error.message, words))
		fail_msg("\"%s\" lacks \"%s\"", error.message, words);
	assert_int_equal(s.value, 4711);
}

/* A whole slot with any content: the checksum fits. */
static void forge(unsigned char out[64], uint32_t version, uint64_t sequence, uint64_t value)
{
	uint32_t crc;

	slots_encode(out, MAGIC, sequence, value);
	for (int i = 0; i < 4; i++)
		out[4 + i] = (unsigned char)(version >> (8 * i));
	crc = crc32c(out, 60);
	for (int i = 0; i < 4; i++)
		out[60 + i] = (unsigned char)(crc >> (8 * i));
}

static void the_layout_is_the_documented_one(void **state)
{
	static const unsigned char want[24] = { 'T', 'N', 'G', '1', 1, 0, 0, 0, 8, 7, 6, 5,
		                                4,   3,   2,   1,   9, 0, 0, 0, 0, 0, 0, 0x70 };
	unsigned char slot[64];
	uint32_t crc;

	(void)state;
	slots_encode(slot, MAGIC, 0x0102030405060708u, 0x7000000000000009u);
	assert_memory_equal(slot, want, sizeof want);
	for (int i = 24; i < 60; i++)
		assert_int_equal(slot[i], 0);
	crc = crc32c(slot, 60);
	assert_int_equal(slot[60] + slot[61] * 256u + slot[62] * 65536u + slot[63] * 16777216u, crc);
}

static void the_higher_sequence_is_present_in_either_place(void **state)
{
	unsigned char bytes[SLOTS_BYTES];
	struct tenure_error error;
	struct slots s;

	(void)state;
	for (uint64_t sequence = 2; sequence < 6; sequence++) {
		pair(bytes, sequence, 100, 7);
		assert_int_equal(decode(&s, bytes, sizeof bytes, &error), 0);
		assert_int_equal(s.value, 7);
		assert_int_equal(s.older, 100);
		assert_int_equal(s.sequence, sequence);
		assert_int_equal(s.present, sequence % 2 == 1 ? 0 : 1);
		assert_false(s.torn);
	}
}

static void the_end_of_the_sequence_is_not_before_its_beginning(void **state)
{
	unsigned char bytes[SLOTS_BYTES];
	struct tenure_error error;
	struct slots s;

	(void)state;
	pair(bytes, UINT64_MAX, 1, 2);
	assert_int_equal(decode(&s, bytes, sizeof bytes, &error), 0);
	assert_int_equal(s.value, 2);
	assert_int_equal(slots_write(-1, &s, 3, "DIR/job", &error), TENURE_ELIMIT);
	/* 2^64-1 in slot 0 and "2^64", which is 0, in slot 1: never written. */
	forge(bytes + 64, 1, 0, 3);
	refuses(bytes, sizeof bytes, TENURE_EFOREIGN, "slot 1 holds what is never written");
}

/* After a write that was cut or torn at any byte either the old or the new value is found, and the file can be used. */
static void survives_a_write_torn(bool new_bytes_first)
{
	for (unsigned round = 0; round < 2; round++) {
		uint64_t sequence = 8 + round;
		unsigned place = sequence % 2 == 0 ? 0 : 1; /* of the older slot, which is overwritten */
		unsigned char before[SLOTS_BYTES], fresh[64], bytes[SLOTS_BYTES];
		unsigned n_torn = 0;

		pair(before, sequence, UINT64_C(0x1122334455667788), UINT64_C(0x1234567890abcdef));
		slots_encode(fresh, MAGIC, sequence + 1, UINT64_C(0x7fffffffffffffff));
		for (size_t cut = 0; cut <= 64; cut++) {
			struct tenure_error error;
			struct slots s;

			memcpy(bytes, before, sizeof bytes);
			if (new_bytes_first)
				memcpy(bytes + (size_t)place * 64, fresh, cut);
			else
				memcpy(bytes + (size_t)place * 64 + cut, fresh + cut, 64 - cut);
			assert_int_equal(decode(&s, bytes, sizeof bytes, &error), 0);
			if (memcmp(bytes + (size_t)place * 64, fresh, 64) == 0) {
				assert_int_equal(s.value, UINT64_C(0x7fffffffffffffff));
				assert_false(s.torn);
			} else {
				bool untouched = memcmp(bytes, before, sizeof before) == 0;

				assert_int_equal(s.value, UINT64_C(0x1234567890abcdef));
				assert_int_equal(s.present, !place);
				assert_int_equal(s.torn, !untouched);
				n_torn += s.torn;
			}
		}
		assert_in_range(n_torn, 16, 63);
	}
}

static void a_write_cut_at_any_byte_leaves_the_old_value(void **state)
{
	(void)state;
	survives_a_write_torn(true);
}

static void a_write_whose_end_came_first_leaves_the_old_value(void **state)
{
	(void)state;
	survives_a_write_torn(false);
}

static void every_flipped_bit_is_noticed(void **state)
{
	unsigned char bytes[SLOTS_BYTES];

	(void)state;
	pair(bytes, 9, 41, 42);
	for (unsigned bit = 0; bit < SLOTS_BYTES * 8; bit++) {
		bool in_present = bit < 512; /* sequence 9 stands in slot 0 */
		struct tenure_error error;
		struct slots s;

		bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
		assert_int_equal(decode(&s, bytes, sizeof bytes, &error), 0);
		assert_true(s.torn);
		assert_int_equal(s.value, in_present ? 41 : 42);
		assert_int_equal(s.older, s.value);
		bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
}

static void one_flipped_bit_in_each_slot_is_damage(void **state)
{
	unsigned char bytes[SLOTS_BYTES];

	(void)state;
	for (unsigned bit = 64; bit < 512; bit++) {
		pair(bytes, 9, 41, 42);
		bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
		bytes[64 + (511 - bit) / 8] ^= (unsigned char)(1u << bit % 8);
		refuses(bytes, sizeof bytes, TENURE_EIO, "damaged, both copies");
	}
}

static void a_file_of_another_length_is_refused(void **state)
{
	unsigned char bytes[SLOTS_BYTES + 1] = { 0 };

	(void)state;
	pair(bytes, 9, 41, 42);
	for (size_t n = 0; n < SLOTS_BYTES; n++)
		refuses(bytes, n, TENURE_EIO, "truncated");
	refuses(bytes, SLOTS_BYTES + 1, TENURE_EFOREIGN, "129 bytes instead of 128");
	refuses(bytes, SIZE_MAX, TENURE_EFOREIGN, "instead of 128");
}

static void a_foreign_file_is_refused(void **state)
{
	unsigned char bytes[SLOTS_BYTES];

	(void)state;
	memset(bytes, 0, sizeof bytes);
	refuses(bytes, sizeof bytes, TENURE_EFOREIGN, "something else wrote it");
	memset(bytes, 'x', sizeof bytes);
	refuses(bytes, sizeof bytes, TENURE_EFOREIGN, "something else wrote it");
	slots_encode(bytes, SLOTS_MAGIC_COUNTER, 1, 5);
	slots_encode(bytes + 64, SLOTS_MAGIC_COUNTER, 2, 5);
	refuses(bytes, sizeof bytes, TENURE_EFOREIGN, "something else wrote it");
	/* half a counter file beside half a guard file */
	slots_encode(bytes + 64, MAGIC, 2, 5);
	refuses(bytes, sizeof bytes, TENURE_EFOREIGN, "something else wrote it");
}

static void a_newer_version_is_refused(void **state)
{
	unsigned char bytes[SLOTS_BYTES];

	(void)state;
	forge(bytes, 2, 1, 5);
	forge(bytes + 64, 2, 2, 6);
	refuses(bytes, sizeof bytes, TENURE_EVERSION, "version 2");
	forge(bytes, 1, 1, 5);
	refuses(bytes, sizeof bytes, TENURE_EVERSION, "version 2");
	/* a version that checks otherwise */
	forge(bytes, 7, 1, 5);
	forge(bytes + 64, 7, 2, 6);
	bytes[60] ^= 1;
	bytes[124] ^= 1;
	refuses(bytes, sizeof bytes, TENURE_EVERSION, "version 7");
	forge(bytes, 0, 1, 5);
	forge(bytes + 64, 1, 2, 6);
	refuses(bytes, sizeof bytes, TENURE_EFOREIGN, "never written");
}

static void whole_slots_with_impossible_content_are_refused(void **state)
{
	unsigned char bytes[SLOTS_BYTES];
	uint32_t crc;

	(void)state;
	pair(bytes, 9, 41, 42);
	forge(bytes, 1, 9, UINT64_C(1) << 63);
	refuses(bytes, sizeof bytes, TENURE_EFOREIGN, "slot 0 holds what is never written");
	forge(bytes, 1, 8, 42);
	refuses(bytes, sizeof bytes, TENURE_EFOREIGN, "slot 0 holds what is never written");
	forge(bytes, 1, 11, 42);
	refuses(bytes, sizeof bytes, TENURE_EFOREIGN, "sequences 11 and 8 don't meet");
	forge(bytes + 64, 1, 0, 42);
	forge(bytes, 1, 1, 42);
	refuses(bytes, sizeof bytes, TENURE_EFOREIGN, "slot 1 holds what is never written");
	for (size_t i = 24; i < 60; i++) {
		pair(bytes, 9, 41, 42);
		bytes[i] = 1;
		crc = crc32c(bytes, 60);
		for (int b = 0; b < 4; b++)
			bytes[60 + b] = (unsigned char)(crc >> (8 * b));
		refuses(bytes, sizeof bytes, TENURE_EFOREIGN, "never written");
	}
}

struct place {
	char path[64];
	int dirfd;
};

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof *p);

	assert_non_null(p);
	(void)snprintf(p->path, sizeof p->path, "/var/tmp/test_slots.XXXXXX");
	assert_non_null(mkdtemp(p->path));
	p->dirfd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(p->dirfd >= 0);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;

	(void)unlinkat(p->dirfd, "job", 0);
	(void)unlinkat(p->dirfd, "other", 0);
	(void)unlinkat(p->dirfd, "a/b/c", AT_REMOVEDIR);
	(void)unlinkat(p->dirfd, "a/b", AT_REMOVEDIR);
	(void)unlinkat(p->dirfd, "a", AT_REMOVEDIR);
	(void)close(p->dirfd);
	/* Fails when a temporary file was left behind. */
	assert_int_equal(rmdir(p->path), 0);
	free(p);
	return 0;
}

static void a_created_file_is_whole_and_not_replaced(void **state)
{
	struct place *p = *state;
	struct tenure_error error = TENURE_ERROR_INIT;
	struct slots s, again;
	struct stat info;
	int fd = slots_create(p->dirfd, "job", 0640, MAGIC, 12, &s, "DIR/job", &error);

	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(fstat(fd, &info), 0);
	assert_int_equal(info.st_nlink, 1);
	assert_int_equal(info.st_mode & 0777, 0640);
	assert_int_equal(slots_read(fd, &again, MAGIC, "DIR/job", &error), 0);
	assert_int_equal(again.value, 12);
	assert_int_equal(again.older, 12);
	assert_int_equal(again.sequence, s.sequence);
	assert_int_equal(again.present, s.present);
	assert_int_equal(slots_create(p->dirfd, "job", 0640, MAGIC, 1, &s, "DIR/job", &error), TENURE_EEXIST);
	assert_int_equal(slots_read(fd, &again, MAGIC, "DIR/job", &error), 0);
	assert_int_equal(again.value, 12);
	(void)close(fd);
}

static void a_file_can_be_created_without_proc_too(void **state)
{
	struct place *p = *state;
	int status;
	pid_t child;

	assert_int_equal(chmod(p->path, 0777), 0);
	child = fork();
	if (child == 0) {
		struct tenure_error error = TENURE_ERROR_INIT;
		struct slots s;
		bool hidden = unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		              mount("none", "/proc", "tmpfs", 0, NULL) == 0;

		/* Neither way to name a nameless file: it is written under another name, which must not be left. */
		_exit(hidden && setresuid(65534, 65534, 65534) == 0 &&
		                      slots_create(p->dirfd, "job", 0600, MAGIC, 3, &s, "DIR/job", &error) >= 0
		              ? 0
		              : 1);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(faccessat(p->dirfd, "job", F_OK, 0), 0);
}

static void writes_alternate_and_are_found_again(void **state)
{
	struct place *p = *state;
	struct tenure_error error = TENURE_ERROR_INIT;
	struct slots s, found;
	int fd = slots_create(p->dirfd, "job", 0644, MAGIC, 0, &s, "DIR/job", &error);

	assert_true(fd >= 0);
	for (uint64_t value = 1; value < 20; value++) {
		assert_int_equal(slots_write(fd, &s, value, "DIR/job", &error), 0);
		assert_int_equal(slots_read(fd, &found, MAGIC, "DIR/job", &error), 0);
		assert_int_equal(found.value, value);
		assert_int_equal(found.older, value - 1);
		assert_int_equal(found.sequence, s.sequence);
		assert_false(found.torn);
	}
	assert_int_equal(slots_write(fd, &s, SLOTS_VALUE_MAX, "DIR/job", &error), 0);
	assert_int_equal(slots_write(fd, &s, SLOTS_VALUE_MAX + 1, "DIR/job", &error), TENURE_ELIMIT);
	assert_int_equal(s.value, SLOTS_VALUE_MAX);
	(void)close(fd);
}

static void a_torn_slot_is_the_next_to_be_overwritten(void **state)
{
	struct place *p = *state;
	struct tenure_error error = TENURE_ERROR_INIT;
	struct slots s;
	int fd = slots_create(p->dirfd, "job", 0644, MAGIC, 5, &s, "DIR/job", &error);

	assert_true(fd >= 0);
	for (int place = 0; place < 2; place++) {
		assert_int_equal(pwrite(fd, "#", 1, place * 64 + 20), 1);
		assert_int_equal(slots_read(fd, &s, MAGIC, "DIR/job", &error), 0);
		assert_true(s.torn);
		assert_int_equal(s.present, !place);
		assert_int_equal(slots_write(fd, &s, 6 + (uint64_t)place, "DIR/job", &error), 0);
		assert_int_equal(slots_read(fd, &s, MAGIC, "DIR/job", &error), 0);
		assert_int_equal(s.value, 6 + place);
		assert_false(s.torn);
	}
	(void)close(fd);
}

static void a_write_that_fails_changes_nothing_in_memory(void **state)
{
	struct place *p = *state;
	struct tenure_error error = TENURE_ERROR_INIT;
	struct slots s, before;
	int reader, fd = slots_create(p->dirfd, "job", 0644, MAGIC, 5, &s, "DIR/job", &error);

	assert_true(fd >= 0);
	before = s;
	reader = openat(p->dirfd, "job", O_RDONLY | O_CLOEXEC);
	assert_int_equal(slots_write(reader, &s, 6, "DIR/job", &error), TENURE_EIO);
	assert_int_equal(error.os_errno, EBADF);
	assert_non_null(strstr(error.message, "DIR/job"));
	assert_memory_equal(&s, &before, sizeof s);
	(void)close(reader);
	(void)close(fd);
}

static void a_short_file_and_a_directory_are_answered(void **state)
{
	struct place *p = *state;
	struct tenure_error error = TENURE_ERROR_INIT;
	struct slots s;
	int fd = slots_create(p->dirfd, "job", 0644, MAGIC, 5, &s, "DIR/job", &error);

	assert_int_equal(ftruncate(fd, 127), 0);
	assert_int_equal(slots_read(fd, &s, MAGIC, "DIR/job", &error), TENURE_EIO);
	assert_int_equal(ftruncate(fd, 129), 0);
	assert_int_equal(slots_read(fd, &s, MAGIC, "DIR/job", &error), TENURE_EFOREIGN);
	assert_int_equal(slots_read(p->dirfd, &s, MAGIC, "DIR", &error), TENURE_EFOREIGN);
	assert_non_null(strstr(error.message, "not a regular file"));
	(void)close(fd);
}

static void a_full_table_of_descriptors_is_a_limit(void **state)
{
	struct place *p = *state;
	struct tenure_error error = TENURE_ERROR_INIT;
	struct rlimit before, none;
	struct slots s;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit) { 3, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(slots_create(p->dirfd, "job", 0644, MAGIC, 5, &s, "DIR/job", &error), TENURE_ELIMIT);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void memory_file_systems_are_refused_by_name(void **state)
{
	struct tenure_error error = TENURE_ERROR_INIT;

	(void)state;
	assert_int_equal(fs_check_local("/dev/shm", false, &error), TENURE_EUNSAFE);
	assert_non_null(strstr(error.message, "/dev/shm is on tmpfs"));
	assert_int_equal(fs_check_local("/dev/shm", true, &error), 0);
	assert_int_equal(fs_check_local("/dev/shm/not/made/yet", false, &error), TENURE_EUNSAFE);
	assert_int_equal(fs_check_local("/proc/1/not", true, &error), TENURE_EUNSAFE);
	assert_non_null(strstr(error.message, "on proc, which keeps no files"));
	assert_int_equal(fs_check_local("/sys/x", true, &error), TENURE_EUNSAFE);
	assert_int_equal(fs_check_local("/var/tmp", false, &error), 0);
	assert_int_equal(fs_check_local("not/made/yet", false, &error), 0);
	assert_int_equal(fs_check_local("/dev/null/x", false, &error), TENURE_EIO);
	assert_int_equal(fs_check_local("", false, &error), TENURE_EIO);
}

static void directories_are_made_with_their_parents(void **state)
{
	struct place *p = *state;
	struct tenure_error error = TENURE_ERROR_INIT;
	char path[128];
	struct stat info;

	(void)snprintf(path, sizeof path, "%s/a//b/c", p->path);
	assert_int_equal(fs_make_directories(path, 0700, &error), 0);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0700);
	assert_int_equal(fs_make_directories(path, 0755, &error), 0);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0700);
	assert_int_equal(fs_make_directories("/dev/null/x", 0755, &error), TENURE_EIO);
	assert_non_null(strstr(error.message, "/dev/null"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc32c_agrees_with_rfc_3720),
		cmocka_unit_test(the_layout_is_the_documented_one),
		cmocka_unit_test(the_higher_sequence_is_present_in_either_place),
		cmocka_unit_test(the_end_of_the_sequence_is_not_before_its_beginning),
		cmocka_unit_test(a_write_cut_at_any_byte_leaves_the_old_value),
		cmocka_unit_test(a_write_whose_end_came_first_leaves_the_old_value),
		cmocka_unit_test(every_flipped_bit_is_noticed),
		cmocka_unit_test(one_flipped_bit_in_each_slot_is_damage),
		cmocka_unit_test(a_file_of_another_length_is_refused),
		cmocka_unit_test(a_foreign_file_is_refused),
		cmocka_unit_test(a_newer_version_is_refused),
		cmocka_unit_test(whole_slots_with_impossible_content_are_refused),
		cmocka_unit_test_setup_teardown(a_created_file_is_whole_and_not_replaced, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_file_can_be_created_without_proc_too, set_up, tear_down),
		cmocka_unit_test_setup_teardown(writes_alternate_and_are_found_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_torn_slot_is_the_next_to_be_overwritten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_write_that_fails_changes_nothing_in_memory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_short_file_and_a_directory_are_answered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_full_table_of_descriptors_is_a_limit, set_up, tear_down),
		cmocka_unit_test(memory_file_systems_are_refused_by_name),
		cmocka_unit_test_setup_teardown(directories_are_made_with_their_parents, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
