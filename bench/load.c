/* SPDX-License-Identifier: Apache-2.0 */
#include "load.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

static const char *const load_modes[] = { "cycles", "handover", "hold", "failover" };

static void load_mode_of(struct load_options *options, const char *text)
{
	for (unsigned i = 0; i < sizeof load_modes / sizeof load_modes[0]; i++)
		if (strcmp(text, load_modes[i]) == 0) {
			options->mode = (enum load_mode)i;
			return;
		}
	bench_die(text, "not a mode: cycles, handover, hold, failover");
}

void load_parse(struct load_options *options, int argc, char **argv)
{
	static const struct option known[] = {
		{ "store", required_argument, NULL, 's' },     { "mode", required_argument, NULL, 'm' },
		{ "prefix", required_argument, NULL, 'p' },    { "id", required_argument, NULL, 'i' },
		{ "elections", required_argument, NULL, 'n' }, { "sessions", required_argument, NULL, 'c' },
		{ "seconds", required_argument, NULL, 't' },   { "ttl-ms", required_argument, NULL, 'l' },
		{ "hold-us", required_argument, NULL, 'h' },   { NULL, 0, NULL, 0 },
	};
	static const struct load_options defaults = { LOAD_CYCLES, NULL, "bench", "bench", 1, 1, 1, 10000, 2000 };

	*options = defaults;
	for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		switch (c) {
		case 's':
			options->store = optarg;
			break;
		case 'm':
			load_mode_of(options, optarg);
			break;
		case 'p':
			options->prefix = optarg;
			break;
		case 'i':
			options->id = optarg;
			break;
		case 'n':
			options->elections = bench_number(optarg, 1000000);
			break;
		case 'c':
			options->sessions = bench_number(optarg, 10000);
			break;
		case 't':
			options->seconds = bench_number(optarg, 86400);
			break;
		case 'l':
			options->ttl_ms = bench_number(optarg, 86400000);
			break;
		case 'h':
			options->hold_us = bench_number(optarg, 60000000);
			break;
		default:
			bench_die(argv[0], "see bench/README.md");
		}
	}
	if (!options->store || optind != argc)
		bench_die(argv[0],
		          "--store STORE --mode MODE [--elections N] [--sessions N] [--seconds N] [--ttl-ms N] ...");
}

void load_election(const struct load_options *options, unsigned i, char *text, size_t room)
{
	(void)snprintf(text, room, "%s-%u", options->prefix, i);
}

void load_say(const char *what)
{
	printf("{\"event\":\"%s\",\"at_ns\":%llu}\n", what, (unsigned long long)bench_now_ns());
	(void)fflush(stdout);
}

void load_say_ready(void)
{
	load_say("ready");
}

bool load_read_go(void)
{
	char line[64];
	ssize_t n;

	do
		n = read(STDIN_FILENO, line, sizeof line);
	while (n < 0 && errno == EINTR);
	return n > 0;
}

static uint64_t load_cpu_ns(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) != 0)
		bench_die("clock_gettime", "failed");
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void load_begin(struct load_result *result, const struct load_options *options)
{
	result->cpu_began_ns = load_cpu_ns();
	result->began_ns = bench_now_ns();
	result->until_ns = result->began_ns + options->seconds * UINT64_C(1000000000);
	result->last_ns = result->began_ns;
}

/* Not getrusage: its largest size is inherited from the process that forked this one. */
static long load_rss_kb(void)
{
	FILE *status = fopen("/proc/self/status", "re");
	char line[256];
	long kb = -1;

	if (!status)
		return -1;
	while (kb < 0 && fgets(line, sizeof line, status))
		if (strncmp(line, "VmHWM:", 6) == 0)
			kb = strtol(line + 6, NULL, 10);
	(void)fclose(status);
	return kb;
}

static unsigned load_bucket(uint64_t ns)
{
	unsigned exponent;

	if (ns < 1u << LOAD_SUB_BITS)
		return (unsigned)ns;
	exponent = 63u - (unsigned)__builtin_clzll(ns);
	return (exponent << LOAD_SUB_BITS) |
	       ((unsigned)(ns >> (exponent - LOAD_SUB_BITS)) & ((1u << LOAD_SUB_BITS) - 1));
}

/* The least value that falls into a bucket. */
static uint64_t load_bucket_ns(unsigned bucket)
{
	unsigned exponent = bucket >> LOAD_SUB_BITS, rest = bucket & ((1u << LOAD_SUB_BITS) - 1);

	if (exponent < LOAD_SUB_BITS)
		return bucket;
	return (UINT64_C(1) << exponent) | (uint64_t)rest << (exponent - LOAD_SUB_BITS);
}

void load_gap(struct load_result *result, uint64_t since_ns, uint64_t now_ns)
{
	if (now_ns - since_ns > result->gap_ns) {
		result->gap_ns = now_ns - since_ns;
		result->gap_at_ns = now_ns;
	}
}

void load_cycle(struct load_result *result, uint64_t began_ns, uint64_t now_ns)
{
	uint64_t took_ns = now_ns - began_ns;

	if (now_ns > result->until_ns)
		return;
	result->n++;
	result->bucket[load_bucket(took_ns)]++;
	if (took_ns > result->max_ns)
		result->max_ns = took_ns;
	load_gap(result, result->last_ns, now_ns);
	result->last_ns = now_ns;
}

void load_instant(struct load_instants *instants, uint64_t ns)
{
	if (instants->n == instants->room) {
		size_t room = instants->room ? instants->room * 2 : 1024;
		uint64_t *more = realloc(instants->ns, room * sizeof *more);

		if (!more)
			bench_die("realloc", "out of memory");
		instants->ns = more;
		instants->room = room;
	}
	instants->ns[instants->n++] = ns;
}

static void load_print_instants(const char *name, struct load_instants *instants)
{
	printf(",\"%s\":[", name);
	for (size_t i = 0; i < instants->n; i++)
		printf("%s%llu", i ? "," : "", (unsigned long long)instants->ns[i]);
	printf("]");
	free(instants->ns);
	memset(instants, 0, sizeof *instants);
}

void load_print(struct load_result *result)
{
	uint64_t now_ns = bench_now_ns(), end_ns = now_ns < result->until_ns ? now_ns : result->until_ns;
	bool first = true;

	printf("{\"event\":\"result\",\"count\":%llu,\"seconds\":%.6f,\"cpu_s\":%.6f,\"rss_kb\":%ld,\"max_ns\":%llu,",
	       (unsigned long long)result->n, (double)(end_ns - result->began_ns) / 1e9,
	       (double)(load_cpu_ns() - result->cpu_began_ns) / 1e9, load_rss_kb(), (unsigned long long)result->max_ns);
	printf("\"gap_ns\":%llu,\"gap_at_ns\":%llu,\"lost\":%llu,\"ttl_ms\":%llu,\"latency\":[",
	       (unsigned long long)result->gap_ns, (unsigned long long)result->gap_at_ns,
	       (unsigned long long)result->lost, (unsigned long long)result->ttl_ms);
	for (unsigned i = 0; i < LOAD_BUCKETS; i++)
		if (result->bucket[i]) {
			printf("%s[%llu,%llu]", first ? "" : ",", (unsigned long long)load_bucket_ns(i),
			       (unsigned long long)result->bucket[i]);
			first = false;
		}
	printf("]");
	load_print_instants("led_ns", &result->led);
	load_print_instants("resigned_ns", &result->resigned);
	printf("}\n");
	(void)fflush(stdout);
}
