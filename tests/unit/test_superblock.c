/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "quorum/bytes.h"
#include "quorum/superblock.h"

#define COPY SUPERBLOCK_COPY_BYTES

static void random_id(struct quorum_id *id, uint8_t seed)
{
	for (unsigned i = 0; i < sizeof id->bytes; i++)
		id->bytes[i] = (uint8_t)(seed + 13 * i);
}

static void members(struct quorum_member *m, unsigned n, uint8_t seed, size_t address)
{
	for (unsigned i = 0; i < n; i++) {
		random_id(&m[i].vid, (uint8_t)(seed + i));
		memset(m[i].address, 'a' + (int)i, address);
	}
}

/* A voter of three, as it is in ordinary life; `sequence` shows in all that changes. */
static struct superblock ordinary(uint64_t sequence)
{
	struct superblock s = { .sequence = sequence,
		                .name = "v1",
		                .epoch = 3,
		                .run = (uint32_t)sequence,
		                .clean_run = (uint32_t)sequence - 1,
		                .ceiling = sequence * QUORUM_STEP,
		                .max_ttl_ms = 10000,
		                .max_ttl_v_ms = 1000,
		                .config = { .cver = 1, .n_members = 3 } };

	random_id(&s.cluster, 100);
	random_id(&s.vid, 1);
	members(s.config.members, 3, 1, 14);
	return s;
}

/* The longest and largest that there can be. */
static struct superblock largest(void)
{
	struct superblock s = { .sequence = UINT64_MAX,
		                .epoch = QUORUM_EPOCH_MAX,
		                .run = UINT32_MAX,
		                .clean_run = UINT32_MAX,
		                .joined = true,
		                .ceiling = QUORUM_TERM_MAX,
		                .max_ttl_ms = UINT32_MAX,
		                .max_ttl_v_ms = UINT32_MAX,
		                .config = { UINT64_MAX,
		                            QUORUM_TERM_MAX,
		                            QUORUM_MAX_VOTERS,
		                            QUORUM_MAX_VOTERS,
		                            { { { { 0 } }, "" } },
		                            { { { { 0 } }, "" } } },
		                .pending_ballot = QUORUM_TERM_MAX,
		                .n_pending_bytes = sizeof s.pending };

	random_id(&s.cluster, 100);
	random_id(&s.vid, 1);
	memset(s.name, 'n', sizeof s.name - 1);
	members(s.config.members, QUORUM_MAX_VOTERS, 1, QUORUM_ADDRESS_ROOM - 1);
	members(s.config.next, QUORUM_MAX_VOTERS, 50, QUORUM_ADDRESS_ROOM - 1);
	memset(s.pending, 0xa5, sizeof s.pending);
	return s;
}

static void same_config(const struct quorum_config *a, const struct quorum_config *b)
{
	assert_true(a->cver == b->cver && a->floor == b->floor && a->n_members == b->n_members &&
	            a->n_next == b->n_next);
	for (unsigned i = 0; i < a->n_members + a->n_next; i++) {
		const struct quorum_member *m = i < a->n_members ? &a->members[i] : &a->next[i - a->n_members];
		const struct quorum_member *n = i < b->n_members ? &b->members[i] : &b->next[i - b->n_members];

		assert_true(quorum_id_equal(&m->vid, &n->vid));
		assert_string_equal(m->address, n->address);
	}
}

static void same(const struct superblock *a, const struct superblock *b)
{
	assert_true(a->sequence == b->sequence && a->epoch == b->epoch && a->run == b->run &&
	            a->clean_run == b->clean_run && a->joined == b->joined && a->ceiling == b->ceiling &&
	            a->max_ttl_ms == b->max_ttl_ms && a->max_ttl_v_ms == b->max_ttl_v_ms);
	assert_true(quorum_id_equal(&a->cluster, &b->cluster) && quorum_id_equal(&a->vid, &b->vid));
	assert_string_equal(a->name, b->name);
	same_config(&a->config, &b->config);
	assert_true(a->pending_ballot == b->pending_ballot && a->n_pending_bytes == b->n_pending_bytes);
	assert_memory_equal(a->pending, b->pending, a->n_pending_bytes);
}

static void refuses(const uint8_t *file, size_t n_bytes, int code, const char *words)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	static struct superblock s;

	assert_int_equal(superblock_choose(&s, file, n_bytes, &error), code);
	assert_int_equal(error.code, code);
	if (!strstr(error.message, words))
		fail_msg("\"%s\" lacks \"%s\"", error.message, words);
	assert_int_equal(superblock_choose(&s, file, n_bytes, NULL), code);
}

/* What is chosen of a file; its sequence. */
static uint64_t chosen(const uint8_t *file)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	static struct superblock s, expected;

	if (superblock_choose(&s, file, SUPERBLOCK_FILE_BYTES, &error) != 0)
		fail_msg("refused: %s", error.message);
	expected = ordinary(s.sequence);
	same(&s, &expected);
	return s.sequence;
}

/* A file whose copies have the sequences `even` and `odd`. */
static void file_of(uint8_t file[SUPERBLOCK_FILE_BYTES], uint64_t even, uint64_t odd)
{
	static struct superblock s;

	s = ordinary(even);
	superblock_encode(&s, file);
	s = ordinary(odd);
	superblock_encode(&s, file + COPY);
}

static size_t used_bytes(const uint8_t *copy)
{
	return (size_t)bytes_get32(copy + 12) + 4;
}

/* Mends the checksum of a copy that was changed on purpose. */
static void mend(uint8_t *copy)
{
	size_t length = bytes_get32(copy + 12);

	bytes_put32(copy + length, crc32c(copy, length));
}

static void everything_that_a_voter_makes_durable_comes_back(void **state)
{
	static struct superblock s, again;
	static uint8_t copy[COPY], twice[COPY];

	(void)state;
	for (unsigned which = 0; which < 2; which++) {
		s = which ? largest() : ordinary(7);
		superblock_encode(&s, copy);
		memset(&again, 0xff, sizeof again);
		assert_int_equal(superblock_decode(&again, copy, sizeof copy, NULL), 0);
		same(&s, &again);
		superblock_encode(&again, twice);
		assert_memory_equal(copy, twice, sizeof copy);
		for (size_t i = used_bytes(copy); i < COPY; i++)
			assert_int_equal(copy[i], 0);
	}
}

/* As laid down beside the code: what any later version must still read. */
static void a_copy_is_the_bytes_that_are_documented(void **state)
{
	static const uint8_t head[] = { 'T', 'E', 'N', 'U', 'R', 'E', 'V', 'S', 1, 0, 0, 0 };
	struct superblock s = ordinary(0x0102);
	static uint8_t copy[COPY];

	(void)state;
	superblock_encode(&s, copy);
	assert_memory_equal(copy, head, sizeof head);
	assert_int_equal(bytes_get64(copy + 16), 0x0102);
	assert_memory_equal(copy + 24, s.cluster.bytes, 16);
	assert_memory_equal(copy + 40, s.vid.bytes, 16);
	assert_int_equal(bytes_get16(copy + 56), 3);
	assert_int_equal(copy[58], 0);
	assert_memory_equal(copy + 59, "\2v1", 3);
	assert_int_equal(bytes_get32(copy + 62), 0x0102);
	assert_int_equal(bytes_get32(copy + 66), 0x0101);
	assert_int_equal(bytes_get64(copy + 70), 0x0102 * QUORUM_STEP);
	assert_int_equal(bytes_get32(copy + 78), 10000);
	assert_int_equal(bytes_get32(copy + 82), 1000);
	/* the configuration: 18 bytes, and of each member 18 and its address */
	assert_int_equal(bytes_get16(copy + 86), 18 + 3 * (18 + 14));
	assert_int_equal(bytes_get32(copy + 12), 88 + 18 + 3 * (18 + 14) + 10);
	assert_int_equal(bytes_get32(copy + used_bytes(copy) - 4), crc32c(copy, used_bytes(copy) - 4));
}

static void the_copy_with_the_higher_sequence_is_chosen(void **state)
{
	static uint8_t file[SUPERBLOCK_FILE_BYTES];

	(void)state;
	file_of(file, 8, 7);
	assert_int_equal(chosen(file), 8);
	file_of(file, 8, 9);
	assert_int_equal(chosen(file), 9);
	file_of(file, 2, 1);
	assert_int_equal(chosen(file), 2);
}

/* Copy 8 is overwritten by 10, and the write stops after any number of its bytes: 9 stands, and 10 once it is whole. */
static void a_write_that_is_torn_at_any_byte_leaves_the_older_or_the_newer_state(void **state)
{
	static uint8_t file[SUPERBLOCK_FILE_BYTES], newer[COPY];
	struct superblock s = ordinary(10);
	unsigned n_older = 0, n_newer = 0;

	(void)state;
	superblock_encode(&s, newer);
	file_of(file, 8, 9);
	for (size_t n = 0; n < COPY; n++) {
		uint64_t sequence = n < 600 || n % 512 == 0 ? chosen(file) : 0;

		if (sequence) {
			assert_int_equal(sequence, n < used_bytes(newer) ? 9 : 10);
			n_older += sequence == 9;
			n_newer += sequence == 10;
		}
		file[n] = newer[n];
	}
	assert_int_equal(chosen(file), 10);
	assert_true(n_older > 100 && n_newer > 100);
}

/* Blocks of the disk come in any order: each single one of the old or of the new copy. */
static void a_write_whose_blocks_came_in_any_order_leaves_the_older_or_the_newer_state(void **state)
{
	static uint8_t file[SUPERBLOCK_FILE_BYTES], newer[COPY], other[COPY];
	struct superblock s = largest();
	struct superblock old = largest();

	(void)state;
	s.sequence = 10;
	s.ceiling = 1000;
	old.sequence = 8;
	old.ceiling = 800;
	memset(s.pending, 0x11, sizeof s.pending);
	superblock_encode(&s, newer);
	superblock_encode(&old, other);
	old.sequence = 9;
	old.ceiling = 900;
	superblock_encode(&old, file + COPY);
	/* 32 blocks of 512 bytes: each alone missing, each alone there. */
	for (unsigned block = 0; block < 64; block++) {
		static struct superblock got;

		memcpy(file, block < 32 ? newer : other, COPY);
		memcpy(file + (size_t)(block % 32) * 512, (block < 32 ? other : newer) + (size_t)(block % 32) * 512,
		       512);
		assert_int_equal(superblock_choose(&got, file, sizeof file, NULL), 0);
		assert_true((got.sequence == 9 && got.ceiling == 900) || (got.sequence == 10 && got.ceiling == 1000));
		/* The first block differs in the sequence, the last ones are zeros in both. */
		assert_int_equal(got.sequence == 10, block < 32 && memcmp(file, newer, COPY) == 0);
	}
}

static void any_bit_that_flips_in_a_copy_makes_the_other_one_count(void **state)
{
	static uint8_t file[SUPERBLOCK_FILE_BYTES];
	size_t n;

	(void)state;
	file_of(file, 8, 9);
	n = used_bytes(file + COPY);
	for (size_t i = 0; i < 8 * n; i++) {
		file[COPY + i / 8] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(chosen(file), 8);
		file[COPY + i / 8] ^= (uint8_t)(1u << i % 8);
		file[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(chosen(file), 9);
		file[i / 8] ^= (uint8_t)(1u << i % 8);
	}
}

static void a_file_without_a_good_copy_is_refused(void **state)
{
	static uint8_t file[SUPERBLOCK_FILE_BYTES + 1];

	(void)state;
	refuses(file, SUPERBLOCK_FILE_BYTES, TENURE_EFOREIGN, "neither of its two copies is whole");
	file_of(file, 8, 9);
	file[30] ^= 1;
	file[COPY + 30] ^= 1;
	refuses(file, SUPERBLOCK_FILE_BYTES, TENURE_EFOREIGN, "neither of its two copies is whole");
	file_of(file, 8, 9);
	refuses(file, SUPERBLOCK_FILE_BYTES + 1, TENURE_EFOREIGN, "something else wrote it");
	for (size_t n = 0; n < SUPERBLOCK_FILE_BYTES; n += n < 300 ? 1 : 509) {
		uint8_t *cut = malloc(n ? n : 1);

		assert_non_null(cut);
		memcpy(cut, file, n);
		refuses(cut, n, TENURE_EFOREIGN, "it was cut");
		free(cut);
	}
}

static void copies_of_two_voters_or_in_the_wrong_place_are_refused(void **state)
{
	static uint8_t file[SUPERBLOCK_FILE_BYTES], copy[COPY];
	struct superblock s = ordinary(9);

	(void)state;
	file_of(file, 8, 9);
	random_id(&s.vid, 2);
	superblock_encode(&s, file + COPY);
	refuses(file, sizeof file, TENURE_EFOREIGN, "different voters");
	s = ordinary(9);
	random_id(&s.cluster, 2);
	superblock_encode(&s, file + COPY);
	refuses(file, sizeof file, TENURE_EFOREIGN, "different voters");
	/* The newer one at the older one's place, even where that one is gone: what it was is not known any more. */
	file_of(file, 8, 9);
	memcpy(copy, file + COPY, COPY);
	memcpy(file + COPY, file, COPY);
	refuses(file, sizeof file, TENURE_EFOREIGN, "copy 1 stands where the other one belongs");
	memcpy(file, copy, COPY);
	refuses(file, sizeof file, TENURE_EFOREIGN, "copy 0 stands where the other one belongs");
}

static void a_later_format_is_told_from_damage_and_never_passed_over(void **state)
{
	static uint8_t file[SUPERBLOCK_FILE_BYTES];

	(void)state;
	for (unsigned which = 0; which < 2; which++) {
		file_of(file, 8, 9);
		file[which * COPY + 8] = 2;
		mend(file + (size_t)which * COPY);
		refuses(file, sizeof file, TENURE_EVERSION, "format 2");
		/* Without its checksum it is only damage. */
		file[which * COPY + 20] ^= 1;
		assert_int_equal(chosen(file), which ? 8 : 9);
	}
	file_of(file, 8, 9);
	file[COPY + 8] = 0;
	mend(file + COPY);
	assert_int_equal(chosen(file), 8);
}

/* Whole, but with what no voter writes: (offset, bytes) in an ordinary copy. */
static void a_copy_that_says_what_no_voter_writes_is_none(void **state)
{
	static const struct {
		size_t at, n;
		const char *bytes;
		const char *what;
	} changes[] = {
		{ 10, 1, "\1", "reserved" },
		{ 24, 16, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "no cluster" },
		{ 40, 16, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "no vid" },
		{ 57, 1, "\x80", "epoch" },
		{ 58, 1, "\2", "joined" },
		{ 59, 1, "\0", "no name" },
		{ 59, 1, "\x41", "name too long" },
		{ 60, 1, "\0", "zero in the name" },
		{ 66, 4, "\xff\xff\0\0", "clean_run above run" },
		{ 76, 1, "\1", "ceiling" },
		{ 78, 4, "\0\0\0\0", "no max_ttl" },
		{ 82, 4, "\0\0\0\0", "no max_ttl_v" },
		{ 86, 1, "\1", "length of the configuration" },
		{ 86, 2, "\xff\xff", "length of the configuration" },
		{ 88, 8, "\0\0\0\0\0\0\0\0", "no cver" },
		{ 102, 1, "\1", "floor" },
		{ 104, 1, "\0", "no members" },
		{ 104, 1, "\x0a", "ten members" },
		{ 105, 1, "\x0a", "ten of the next" },
		{ 122, 1, "\0", "no address" },
		{ 125, 1, "\0", "zero in the address" },
		{ 125, 1, "\n", "line feed in the address" },
		{ 202, 8, "\1\0\0\0\0\0\1\0", "ballot" },
		{ 210, 2, "\1\0", "pending that is not there" },
	};
	static uint8_t copy[COPY];
	static struct superblock s;

	(void)state;
	for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		struct tenure_error error = TENURE_ERROR_INIT;

		s = ordinary(9);
		superblock_encode(&s, copy);
		memcpy(copy + changes[i].at, changes[i].bytes, changes[i].n);
		mend(copy);
		if (superblock_decode(&s, copy, sizeof copy, &error) != TENURE_EFOREIGN)
			fail_msg("taken: %s", changes[i].what);
		assert_non_null(strstr(error.message, "what no voter writes"));
	}
}

static void a_length_that_lies_is_damage(void **state)
{
	static uint8_t copy[COPY];
	struct superblock s = ordinary(9);
	uint32_t length;

	(void)state;
	superblock_encode(&s, copy);
	length = bytes_get32(copy + 12);
	for (uint32_t lie = 0; lie < COPY + 10; lie++) {
		static struct superblock got;

		if (lie == length)
			continue;
		bytes_put32(copy + 12, lie);
		if (lie >= 24 && lie + 4 <= COPY)
			mend(copy);
		assert_int_equal(superblock_decode(&got, copy, sizeof copy, NULL), TENURE_EFOREIGN);
		superblock_encode(&s, copy);
	}
	bytes_put32(copy + 12, UINT32_MAX);
	assert_int_equal(superblock_decode(&s, copy, sizeof copy, NULL), TENURE_EFOREIGN);
}

/* ---- configurations ---- */

static void a_configuration_comes_back_and_is_found_by_its_voters(void **state)
{
	static uint8_t bytes[QUORUM_CONFIG_MAX_BYTES];
	static struct quorum_config again;
	struct superblock s = largest();
	struct quorum_id other;
	size_t n = quorum_config_encode(&s.config, bytes, sizeof bytes);

	(void)state;
	assert_int_equal(n, 18 + 18 * (18 + 263));
	assert_true(quorum_config_decode(&again, bytes, n));
	same_config(&s.config, &again);
	for (unsigned i = 0; i < QUORUM_MAX_VOTERS; i++)
		assert_int_equal(quorum_config_find(&again, &s.config.members[i].vid), i);
	assert_int_equal(quorum_config_find(&again, &s.config.next[0].vid), -1);
	random_id(&other, 200);
	assert_int_equal(quorum_config_find(&again, &other), -1);
}

static void a_configuration_needs_all_of_its_room(void **state)
{
	struct superblock s = ordinary(1);
	uint8_t bytes[200];
	size_t n = quorum_config_encode(&s.config, bytes, sizeof bytes);

	(void)state;
	assert_int_equal(n, 18 + 3 * (18 + 14));
	for (size_t room = 0; room <= n; room++) {
		uint8_t *small = malloc(room ? room : 1);

		assert_non_null(small);
		assert_int_equal(quorum_config_encode(&s.config, small, room), room == n ? n : 0);
		free(small);
	}
}

static void a_configuration_that_is_cut_lengthened_or_doubles_a_voter_is_malformed(void **state)
{
	static struct quorum_config c;
	struct superblock s = ordinary(1);
	uint8_t bytes[200] = { 0 };
	size_t n = quorum_config_encode(&s.config, bytes, sizeof bytes);

	(void)state;
	assert_true(quorum_config_decode(&c, bytes, n));
	for (size_t cut = 0; cut < n; cut++) {
		uint8_t *part = malloc(cut ? cut : 1);

		assert_non_null(part);
		memcpy(part, bytes, cut);
		assert_false(quorum_config_decode(&c, part, cut));
		free(part);
	}
	assert_false(quorum_config_decode(&c, bytes, n + 1));
	s.config.members[2].vid = s.config.members[0].vid;
	assert_int_equal(quorum_config_encode(&s.config, bytes, sizeof bytes), n);
	assert_false(quorum_config_decode(&c, bytes, n));
	memset(&s.config.members[2].vid, 0, sizeof s.config.members[2].vid);
	assert_int_equal(quorum_config_encode(&s.config, bytes, sizeof bytes), n);
	assert_false(quorum_config_decode(&c, bytes, n));
}

/* A voter may stay from one configuration to the next: only within a list it must not come twice. */
static void a_joint_configuration_may_keep_its_voters(void **state)
{
	static struct quorum_config c;
	struct superblock s = ordinary(1);
	uint8_t bytes[400];
	size_t n;

	(void)state;
	s.config.n_next = 3;
	members(s.config.next, 3, 2, 5);
	n = quorum_config_encode(&s.config, bytes, sizeof bytes);
	assert_true(quorum_config_decode(&c, bytes, n));
	same_config(&s.config, &c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_that_a_voter_makes_durable_comes_back),
		cmocka_unit_test(a_copy_is_the_bytes_that_are_documented),
		cmocka_unit_test(the_copy_with_the_higher_sequence_is_chosen),
		cmocka_unit_test(a_write_that_is_torn_at_any_byte_leaves_the_older_or_the_newer_state),
		cmocka_unit_test(a_write_whose_blocks_came_in_any_order_leaves_the_older_or_the_newer_state),
		cmocka_unit_test(any_bit_that_flips_in_a_copy_makes_the_other_one_count),
		cmocka_unit_test(a_file_without_a_good_copy_is_refused),
		cmocka_unit_test(copies_of_two_voters_or_in_the_wrong_place_are_refused),
		cmocka_unit_test(a_later_format_is_told_from_damage_and_never_passed_over),
		cmocka_unit_test(a_copy_that_says_what_no_voter_writes_is_none),
		cmocka_unit_test(a_length_that_lies_is_damage),
		cmocka_unit_test(a_configuration_comes_back_and_is_found_by_its_voters),
		cmocka_unit_test(a_configuration_needs_all_of_its_room),
		cmocka_unit_test(a_configuration_that_is_cut_lengthened_or_doubles_a_voter_is_malformed),
		cmocka_unit_test(a_joint_configuration_may_keep_its_voters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
