/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file store: one host, one directory an election.
 *
 *	DIR/ELECTION/lock	the open-file-description lock: who has it leads
 *	DIR/ELECTION/counter	the durable source of tokens (base/slots.h)
 *	DIR/ELECTION/holder	the record of who leads (record.h)
 *	DIR/ELECTION/waiting/	the queue (queue.h)
 *	DIR/ELECTION/ask	a wish that the leader hand over
 *
 * Shared by the files of this folder only.
 */
#ifndef TENURE_FILE_FILE_STORE_H
#define TENURE_FILE_FILE_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/process.h"
#include "elector/store.h"
#include "file/notify.h"
#include "file/queue.h"
#include "file/record.h"
#include "loop/loop.h"

#define FILE_ASK_NEW   ".ask-"
#define FILE_ROOT_ROOM 3072
#define FILE_PATH_ROOM (FILE_ROOT_ROOM + 1 + NAMES_ELECTION_MAX_BYTES + 1 + 64)
/* After an error that may pass. */
#define FILE_RETRY_NS CLOCK_NS_PER_S
/* How often the directory is looked at; and, every FILE_LOOK_EVERY times, everything: should a notice have been lost.
 */
#define FILE_HEALTH_NS  CLOCK_NS_PER_S
#define FILE_LOOK_EVERY 5
/*
 * Looks after a lock was closed, 1, 2, 4, 8, 16, 16, ... ms apart, for about a second: the kernel tells of the closing a
 * moment before the lock is gone.
 */
#define FILE_BURST 64
static inline uint64_t file_burst_ns(unsigned n)
{
	return CLOCK_NS_PER_MS << (n < 4 ? n : 4);
}
/* A free lock that the head of the queue does not take for so long may be taken by the second: the head is stopped,
 * say. */
#define FILE_OVERTAKE_NS (50 * CLOCK_NS_PER_MS)

struct file_store {
	char root[FILE_ROOT_ROOM];
	bool allow_memory; /* ?volatile=yes */
	bool ready;        /* the directory was seen to be there and fit */
	unsigned mode_files, mode_locks, mode_record, mode_dirs;
	gid_t group; /* of the directory */
	char id[NAMES_ID_MAX_BYTES + 1];
	char identity[NAMES_IDENTITY_ROOM];
	uint64_t nonce;
	struct loop *loop;
	struct log log;
	const struct store_sink *sink;
	void *client;
	struct process_scope scope;
	struct process_id self;
	struct notify *notify;
	struct loop_timer health_timer;
	unsigned health_ticks;
	enum tenure_health health;
	struct list seats, watches;
};

enum file_seat_phase {
	FILE_SEAT_IDLE,   /* in no queue */
	FILE_SEAT_QUEUED, /* in the queue, or about to be again after an error */
	FILE_SEAT_ENDING, /* has the lock; the last holder's processes are being ended */
	FILE_SEAT_HELD,   /* leads */
};

struct file_seat {
	struct list node;
	struct file_store *store;
	void *client_seat;
	char election[NAMES_ELECTION_ROOM];
	enum file_seat_phase phase;
	uint16_t priority;
	void *value; /* owned */
	size_t value_bytes;
	int queue_fd, lock_fd;
	bool unreached; /* the sink was told so: tell it otherwise before anything else */
	bool troubled;  /* the disk failed us, and has not yet been seen to work again */
	bool unwritten; /* HELD: the record does not show the present value yet */
	bool yielded;   /* other processes hold the lock for us */
	dev_t lock_dev;
	ino_t lock_inode;
	size_t position;
	unsigned burst;
	bool behind;               /* QUEUED, with somebody before us */
	unsigned free_ticks;       /* looks in a row that found the lock free although we are behind */
	uint64_t pending_since_ns; /* of ENDING, for the log */
	int pidfd;
	struct loop_watch *pid_watch;
	struct loop_timer timer;
	struct loop_timer again; /* behind: looks after the one before us closed its file, as with a lock */
	unsigned again_burst;
	struct notify_subscription ahead; /* the one before us, or the election's directory */
	struct notify_subscription
	        lock; /* second in line only: the directory, for the lock that the head does not take */
	struct notify_subscription own; /* our own file in the queue: somebody may promote it */
	uint64_t token;
	int64_t since_unix_ns;
	enum tenure_cause cause;
	struct store_tree *tree; /* owned, NULL: no program */
};

struct file_watch {
	struct list node;
	struct file_store *store;
	void *client_watch;
	char election[NAMES_ELECTION_ROOM];
	struct notify_subscription changes;
	struct loop_timer timer;
	unsigned burst;
	bool told;
	bool led; /* as last told */
	uint64_t token;
	uint32_t value_crc;
};

/* "DIR/ELECTION/NAME"; `name` NULL: the election's directory. */
const char *file_store_path(const struct file_store *s, const char *election, const char *name,
                            char out[FILE_PATH_ROOM]);
/* Makes the store's directory where it is missing, refuses what tokens would not survive on. 0 or a code. */
int file_store_prepare(struct file_store *s, struct tenure_error *error);
/* An error of the disk was met (or, NULL, none): health follows. */
void file_store_health(struct file_store *s, const struct tenure_error *error);
/* Reads the record of an election. 0; TENURE_ENOENT: there is none; TENURE_E... */
int file_store_record(const struct file_store *s, const char *election, struct record *r, struct tenure_error *error);

/* seats (file_seat.c) */
void file_seat_tick(struct file_seat *seat); /* every FILE_HEALTH_NS */
int file_seat_take(struct store *s, const struct store_join *join, void *client_seat, struct store_seat **out,
                   struct tenure_error *error);
void file_seat_begin_work(struct store_seat *seat);
void file_seat_join(struct store_seat *seat);
void file_seat_leave(struct store_seat *seat);
void file_seat_release(struct store_seat *seat, const char *to_identity, enum tenure_cause cause);
int file_seat_set_value(struct store_seat *seat, const void *value, size_t value_bytes);
void file_seat_free(struct store_seat *seat);
int file_seat_share_lock(struct store_seat *seat, int *fd);
void file_seat_yield_lock(struct store_seat *seat);
void file_seat_return_lock(struct store_seat *seat, int fd);
int file_seat_record_tree(struct store_seat *seat, const struct store_tree *tree, struct tenure_error *error);

/* observing and asking (file_view.c) */
void file_view_read(struct store *s, const char *election, store_read_done *done, void *arg);
void file_view_list(struct store *s, store_list_each *each, store_done *done, void *arg);
void file_view_ask(struct store *s, const char *election, const char *to, store_done *done, void *arg);
int file_view_observe(struct store *s, const char *election, void *client_watch, struct store_watch **out,
                      struct tenure_error *error);
void file_view_unobserve(struct store_watch *watch);
void file_view_look(struct file_watch *w);
/* Takes the wish out of the directory: true where there is one for this token; `to` is an identity or "". */
bool file_view_take_ask(const struct file_store *s, const char *election, uint64_t token, char to[NAMES_IDENTITY_ROOM]);

#endif
