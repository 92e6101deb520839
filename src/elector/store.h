/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a mechanism offers to the client library: struct store_ops. Adding a store is a folder with one of these, one
 * line in src/client/registry.def and one in the build (docs/add-a-store.md).
 *
 * Threads: every call is made on the session's loop thread with the session's lock held, and every call into the sink
 * is made there too; neither side blocks on the network. A local disk may be waited for. The sink never calls back into
 * the store: what it has to do there follows after the store's call has returned. Answers of read, list and ask come
 * through their `done`, once, possibly before the call returns.
 */
#ifndef TENURE_ELECTOR_STORE_H
#define TENURE_ELECTOR_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenure/tenure.h>

#include "base/identity.h"
#include "base/log.h"
#include "base/names.h"
#include "base/process.h"
#include "elector/elector.h"

#define STORE_VALUE_MAX_BYTES 4096
#define STORE_PAGE_ROOM       256
#define STORE_CGROUP_ROOM     512

struct lease_timing;
struct loop;
struct store;       /* a session with a store: the mechanism's own */
struct store_seat;  /* one candidacy in it */
struct store_watch; /* one observer in it */

enum store_capability {
	STORE_CAN_LIST = 1,
	STORE_CAN_ASK = 2, /* ask the leader to hand over */
	STORE_CAN_PRIORITY = 4,
	STORE_CAN_VALUE = 8,
	STORE_CAN_OBSERVE = 16,
	STORE_HAS_LOCK = 32,      /* share_lock and record_tree work */
	STORE_ENDLESS_LEASE = 64, /* no ttl: deadline NEVER */
};

struct store_pair {
	const char *key, *value; /* decoded */
};

struct store_settings {   /* borrowed for the length of open() */
	const char *path; /* what follows the scheme: a directory, or "H:P,H:P/CHROOT" */
	const struct store_pair *query;
	size_t n_query;
	const struct tenure_options *options;
	const char *id;       /* the label */
	const char *identity; /* <id>_<16 hex>; the store keeps its own copy */
	uint64_t nonce;       /* the 16 hex as a number: unique to this session */
	/* random, a secret: the nonce is its public hash. Wiped by whoever keeps it, in a forked child (`forked`) */
	uint8_t incarnation[IDENTITY_INCARNATION_BYTES];
	struct loop *loop;
	struct log log;
};

struct store_waiter {
	char id[NAMES_ID_MAX_BYTES + 1];
	char identity[NAMES_IDENTITY_ROOM];
	uint16_t priority;
};

struct store_view { /* an election as the store shows it now */
	bool led;
	char id[NAMES_ID_MAX_BYTES + 1];
	char identity[NAMES_IDENTITY_ROOM];
	uint64_t token; /* 0: the store can't tell */
	int64_t since_unix_ns;
	uint64_t expires_in_ns;  /* NEVER on file */
	uint64_t ttl_ns;         /* NEVER on file */
	enum tenure_cause cause; /* how this state came about; 0: unknown */
	unsigned voters_up, voters_of;
	bool healthy;
	size_t value_bytes;
	unsigned char value[STORE_VALUE_MAX_BYTES];
	struct store_waiter *waiting; /* in order; owned by whoever gave the view, valid during the call only */
	size_t n_waiting;
};

struct store_join { /* borrowed */
	const char *election;
	const void *value;
	size_t value_bytes;
	uint16_t priority;
	/* A grant of which less than this is left is of no use yet: renew it first, then tell it. 0: at once */
	uint64_t notice_ns;
};

/* What the supervisor knows about a program's processes, for the record beside the lock. */
struct store_tree {
	const char *containment; /* "kernel", "cgroup", "weak" */
	struct process_id warden, init;
	char cgroup[STORE_CGROUP_ROOM]; /* "" where there is none */
	char page[STORE_PAGE_ROOM];     /* the path of the tenure's lease page; "" where it has none */
};

struct store_sink { /* the client's side; `client`, `seat`, `watch` are the pointers given to open, join, observe */
	/* Something happened to a candidacy. `error` may be NULL; it explains FAILED, UNREACHED and LOST. */
	void (*seat)(void *seat, const struct elector_input *in, const struct tenure_error *error);
	void (*position)(void *seat, size_t before_us);     /* place in the queue: EV_QUEUE */
	void (*asked)(void *seat, const char *to_identity); /* hand over; "" the next in line. While leading only */
	void (*leader)(void *watch, const struct store_view *view);
	void (*health)(void *client, enum tenure_health health, const struct tenure_error *error);
};

typedef void store_read_done(void *arg, int code, const struct store_view *view, const struct tenure_error *error);
typedef void store_list_each(void *arg, const char *election);
typedef void store_done(void *arg, int code, const struct tenure_error *error);

struct store_ops {
	const char *scheme;
	unsigned capabilities;
	/* Checks the settings; does not connect. Frees nothing of the caller's. */
	int (*open)(struct store **out, const struct store_settings *settings, const struct store_sink *sink,
	            void *client, struct tenure_error *error);
	/* Everything of it: seats and watches must be gone. */
	void (*close)(struct store *s);
	/* Begins to work: connects, watches health. Called once, on the loop thread, before anything below. */
	void (*start)(struct store *s);
	uint64_t (*ttl_ns)(const struct store *s); /* as negotiated; 0 before; NEVER for endless leases */
	/*
	 * The lease in numbers: ttl_ns as asked for, or as granted once that is known; rate_error_ppm, heartbeat_ns,
	 * retry_ns; grace and kill margin 0. From open() on. What the store then gives as the deadline of GRANTED and
	 * RENEWED is the provable end E. 0, or TENURE_E... when it can't be told. NULL, or a ttl of NEVER: leases have
	 * no end.
	 */
	int (*timing)(const struct store *s, struct lease_timing *out);

	/*
	 * Makes a seat that does nothing yet. The one call that may come from another thread than the loop's: it arms
	 * nothing and calls no sink.
	 */
	int (*take_seat)(struct store *s, const struct store_join *join, void *seat, struct store_seat **out,
	                 struct tenure_error *error);
	void (*begin)(
	        struct store_seat *seat); /* once: ELECTOR_REACHED through the sink, now or when the store answers */
	void (*join)(struct store_seat *seat);  /* into the queue, last of its priority */
	void (*leave)(struct store_seat *seat); /* out of the queue; nothing is held */
	/* Gives up what is held. `to_identity` "" or the candidate to be next. ELECTOR_RELEASED follows through the
	 * sink. */
	void (*release)(struct store_seat *seat, const char *to_identity, enum tenure_cause cause);
	int (*set_value)(struct store_seat *seat, const void *value, size_t value_bytes);
	void (*free_seat)(struct store_seat *seat); /* leaves or releases without an answer if need be */

	void (*read)(struct store *s, const char *election, store_read_done *done, void *arg);
	void (*list)(struct store *s, store_list_each *each, store_done *done, void *arg);
	/* Posts the wish; whether it is granted shows in the election. `to` is an id or an identity, "" the next in
	 * line. */
	void (*ask)(struct store *s, const char *election, const char *to, store_done *done, void *arg);
	int (*observe)(struct store *s, const char *election, void *watch, struct store_watch **out,
	               struct tenure_error *error);
	void (*unobserve)(struct store_watch *watch);

	/* STORE_HAS_LOCK only; NULL elsewhere. */
	int (*share_lock)(struct store_seat *seat, int *fd); /* a duplicate that keeps the lock: owned by the caller */
	void (*yield_lock)(struct store_seat *seat); /* the seat's own descriptor is closed: the duplicates hold it */
	void (*return_lock)(struct store_seat *seat, int fd); /* a duplicate comes back: takes fd */
	int (*record_tree)(struct store_seat *seat, const struct store_tree *tree, struct tenure_error *error);
	/* Closes, in a forked child, the descriptors that mean leadership. Async-signal-safe. */
	void (*forked)(struct store *s);
};

#endif
