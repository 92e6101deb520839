/* SPDX-License-Identifier: Apache-2.0 */
/* Carries out what the plan decides: one thread, one poll loop. */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/exit_code.h"
#include "base/log.h"
#include "base/text.h"
#include "client/client.h"
#include "elector/lease.h"
#include "supervisor/descriptors.h"
#include "supervisor/plan.h"
#include "supervisor/tree.h"
#include "supervisor/urgency.h"

#define SUPERVISOR_CLOSE_LIMIT_NS CLOCK_NS_PER_S

struct supervisor {
	const struct supervisor_options *o;
	struct log log;
	struct signals signals;
	int closed_standard;
	bool leased; /* leases of this store have an end */
	bool urgent; /* ... and real-time scheduling is to be had, so that the kill margin is the small one */
	struct urgency urgency;
	uint64_t grace_ns;
	struct tenure *t;
	struct tenure_candidacy *c;
	enum tenure_state seen;
	bool asked;
	bool has_read; /* --wait 0s: the store was asked who leads */
	char asked_to[NAMES_IDENTITY_ROOM];
	struct plan plan;
	struct tree tree;
	int signal_fd, timer_fd;
	uint64_t armed_ns;
	bool alarmed;
};

static void supervisor_feed(struct supervisor *s, enum plan_input_kind kind, int code);

/* ---- errors and exit codes ---- */

static int supervisor_exit_code(int code)
{
	/* The program could not be executed: no processes, descriptors or memory for it. */
	return code == TENURE_ELIMIT || code == TENURE_ENOMEM ? 126 : exit_code_of(code);
}

static int supervisor_fail(const struct supervisor *s, const struct tenure_error *error, int code)
{
	log_write(&s->log, 3, "run", "%s", error->message[0] != '\0' ? error->message : tenure_strerror(code));
	return supervisor_exit_code(code);
}

/* ---- the candidacy ---- */

static void supervisor_on_event(void *arg, const struct tenure_event *event)
{
	struct supervisor *s = arg;
	if (event->type != TENURE_EV_ASKED)
		return;
	/* the state is read after each turn of the loop; a wish is told once, and so kept */
	s->asked = true;
	snprintf(s->asked_to, sizeof s->asked_to, "%s", event->leader_id ? event->leader_id : "");
}

static void supervisor_campaign(struct supervisor *s)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_campaign_options o = TENURE_CAMPAIGN_OPTIONS_INIT;
	o.value = s->o->value;
	o.value_bytes = s->o->value ? strlen(s->o->value) : 0;
	o.priority = s->o->priority;
	o.once = true;
	o.ask_first = true;
	o.notice_ns = s->leased ? s->grace_ns : 0;
	o.on_event = supervisor_on_event;
	o.arg = s;
	s->asked = false;
	s->seen = TENURE_CONNECTING;
	int code = tenure_campaign(s->t, s->o->election, &o, &s->c, &error);
	if (code != 0)
		supervisor_feed(s, PLAN_ENDED, supervisor_fail(s, &error, code));
}

/* At each renewal at once. The warden first: the page never shows more than it was told. */
static void supervisor_on_deadline(void *arg, const struct tenure_candidacy *c, uint64_t token, uint64_t deadline_ns)
{
	struct supervisor *s = arg;
	const struct channel_message message = { .type = CHANNEL_DEADLINE, .deadline_ns = deadline_ns };
	if (c != s->c || !s->tree.page.page || token != s->tree.page.page->token || s->tree.channel < 0)
		return;
	(void)channel_send(s->tree.channel, &message, -1);
	lease_page_writer_extend(&s->tree.page, deadline_ns);
}

/* The page follows the lease. */
static void supervisor_extend(struct supervisor *s)
{
	struct tenure_grant grant;
	if (s->tree.page.page && tenure_leads(s->c, &grant) && grant.token == s->tree.page.page->token)
		lease_page_writer_extend(&s->tree.page, grant.deadline_ns);
}

static bool supervisor_has_started(const struct supervisor *s)
{
	return s->plan.phase == PLAN_STARTING || s->plan.phase == PLAN_RUNNING || s->plan.phase == PLAN_SOFT;
}

static void supervisor_lost(struct supervisor *s)
{
	if (s->leased && supervisor_has_started(s))
		log_write(&s->log, 4, "run",
		          "leadership of election %s is over: its lease was not renewed, or was taken back",
		          s->o->election);
	supervisor_feed(s, PLAN_LOST, 0);
}

static void supervisor_risk(struct supervisor *s, bool at_risk)
{
	char grace[48];
	if (at_risk && s->plan.phase == PLAN_RUNNING)
		log_write(&s->log, 4, "run",
		          "the lease of election %s was not renewed in time and may end in %s: ending the program",
		          s->o->election, text_from_duration(s->grace_ns, grace, sizeof grace));
	supervisor_feed(s, at_risk ? PLAN_AT_RISK : PLAN_SAFE, 0);
}

static void supervisor_state(struct supervisor *s, enum tenure_state state, const struct tenure_error *why)
{
	const enum tenure_state believes = TENURE_LEADING | TENURE_AT_RISK;
	bool led = (s->seen & believes) != 0;
	s->seen = state;
	if (s->tree.page.page)
		lease_page_writer_state(&s->tree.page, state);
	switch (state) {
	case TENURE_CONNECTING:
		break;
	case TENURE_WAITING:
	case TENURE_CONTENDING:
		supervisor_feed(s, PLAN_REACHED, 0);
		break;
	case TENURE_LEADING:
	case TENURE_AT_RISK:
		if (!led)
			supervisor_feed(s, PLAN_LEADING, 0);
		if (s->leased)
			supervisor_risk(s, state == TENURE_AT_RISK);
		break;
	case TENURE_STEPPING_DOWN:
		if (s->leased && s->plan.phase == PLAN_CAMPAIGNING)
			client_proven_dead(s->c); /* it was over before anything was started */
		else if (s->plan.phase != PLAN_RELEASING)
			supervisor_lost(s);
		break;
	case TENURE_ENDED: {
		int code = why->code != 0 ? supervisor_fail(s, why, why->code) : 0;
		/* A limit that the store met (no tokens left) has nothing to do with the program. */
		supervisor_feed(s, PLAN_ENDED, why->code == TENURE_ELIMIT ? 69 : code);
		break;
	}
	}
}

/* One attempt: nothing more comes of it by itself now. */
static bool supervisor_is_idle(const struct supervisor *s)
{
	struct pollfd p = { .fd = tenure_fd(s->t), .events = POLLIN };
	return (s->seen == TENURE_WAITING || s->seen == TENURE_CONTENDING) && poll(&p, 1, 0) == 0 &&
	       tenure_next_ns(s->t) > clock_now_or_zero_ns();
}

/*
 * The same where a lease has an end: the store is elsewhere, so that its silence says nothing. It is asked once; where it does
 * not answer, the plan's limit ends the attempt.
 */
static bool supervisor_sees_another_lead(struct supervisor *s)
{
	struct tenure_status *status;
	const char *identity;
	bool another;
	if (s->has_read || (s->seen != TENURE_WAITING && s->seen != TENURE_CONTENDING))
		return false;
	s->has_read = true;
	if (tenure_read(s->t, s->o->election, CLOCK_NS_PER_S / 2, &status, NULL) != 0)
		return false;
	identity = tenure_status_identity(status);
	another = identity && strcmp(identity, client_identity(s->t)) != 0;
	tenure_status_free(status);
	return another && !tenure_leads(s->c, NULL);
}

static void supervisor_look(struct supervisor *s)
{
	struct tenure_error why = TENURE_ERROR_INIT;
	if (!s->c)
		return;
	enum tenure_state state = tenure_state_of(s->c, &why);
	if (state != s->seen)
		supervisor_state(s, state, &why);
	if (!s->c)
		return;
	supervisor_extend(s);
	if (s->asked) {
		s->asked = false;
		supervisor_feed(s, PLAN_ASKED, 0);
	}
	if (s->c && s->o->wait_ns == 0 && s->plan.phase == PLAN_CAMPAIGNING &&
	    (s->leased ? supervisor_sees_another_lead(s) : supervisor_is_idle(s)))
		supervisor_feed(s, PLAN_ATTEMPTED, 0);
}

/* ---- the tree ---- */

static void supervisor_launch(struct supervisor *s)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_grant grant;
	int lock = -1, code = 0;
	if (!tenure_leads(s->c, &grant)) {
		supervisor_feed(s, PLAN_LOST, 0);
		return;
	}
	if (client_capabilities(s->t) & STORE_HAS_LOCK)
		code = client_share_lock(s->c, &lock);
	if (code != 0)
		error_set(&error, code, 0, "the lock of election %s can't be given to the program's warden: %s",
		          s->o->election, tenure_strerror(code));
	const struct tree_settings settings = { .options = s->o,
		                                .signals = &s->signals,
		                                .urgency = s->leased ? &s->urgency : NULL,
		                                .urgent = s->urgent,
		                                .closed_standard = s->closed_standard,
		                                .identity = client_identity(s->t),
		                                .token = grant.token,
		                                .deadline_ns = grant.deadline_ns,
		                                .lock = lock };
	if (code == 0)
		code = tree_launch(&s->tree, &settings, &error);
	if (code != 0)
		supervisor_feed(s, PLAN_FAILED, supervisor_fail(s, &error, code));
	else
		log_write(&s->log, 6, "run", "leads election %s with token %llu", s->o->election,
		          (unsigned long long)grant.token);
}

static void supervisor_announce(const struct supervisor *s, const char *why)
{
	const char *level = supervisor_containment_name(s->tree.containment.level);
	if (why[0] != '\0')
		log_write(&s->log, 5, "run", "containment=%s (%s)", level, why);
	else
		log_write(&s->log, 5, "run", "containment=%s", level);
}

/* The record names the tree before any program of it runs: whoever finds a free lock knows what to end. */
static int supervisor_record(struct supervisor *s, struct tenure_error *error)
{
	struct store_tree tree = { .containment = supervisor_containment_name(s->tree.containment.level),
		                   .warden = s->tree.warden_id,
		                   .init = s->tree.containment.init };
	if (!(client_capabilities(s->t) & STORE_HAS_LOCK))
		return 0;
	memcpy(tree.cgroup, s->tree.containment.cgroup, sizeof tree.cgroup);
	memcpy(tree.page, s->tree.path, sizeof tree.page);
	int code = client_record_tree(s->c, &tree, error);
	if (code != 0)
		return code;
	client_yield_lock(s->c);
	s->tree.yielded = true;
	return 0;
}

static void supervisor_ready(struct supervisor *s, const struct channel_message *ready)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	if (!plan_wants_tree(&s->plan))
		return; /* it is being ended already */
	int code = tree_contained(&s->tree, ready, &error);
	if (code == 0)
		code = supervisor_record(s, &error);
	if (code != 0) {
		supervisor_feed(s, PLAN_REJECTED, supervisor_fail(s, &error, code));
		return;
	}
	supervisor_announce(s, ready->text);
	supervisor_feed(s, PLAN_READY, 0);
}

static int supervisor_not_started(const struct supervisor *s, const struct channel_message *message)
{
	const char *what = message->text[0] != '\0' ? message->text : strerror(message->os_errno);
	if (s->leased && message->os_errno == ETIME)
		what = "the lease ended before it could start";
	log_write(&s->log, 3, "run", "cannot execute '%s': %s", s->o->command[0], what);
	if (message->text[0] != '\0')
		return 126;
	return message->os_errno == ENOENT ? 127 : 126;
}

static int supervisor_refused(const struct supervisor *s, const struct channel_message *message)
{
	log_write(&s->log, 3, "run", "cannot execute '%s': %s", s->o->command[0], message->text);
	return message->value == TENURE_EUNSUPPORTED || message->value == TENURE_EUNSAFE ? 78 : 126;
}

static void supervisor_program_ended(struct supervisor *s)
{
	int status;
	if (tree_program_ended(&s->tree, &status))
		supervisor_feed(s, PLAN_PROGRAM_ENDED, status);
}

static void supervisor_proven(struct supervisor *s)
{
	if (s->alarmed)
		log_write(&s->log, 5, "run", "every process of the program is dead now");
	s->alarmed = false;
	lease_page_writer_end(&s->tree.page);
	supervisor_program_ended(s);
	supervisor_feed(s, PLAN_TREE_DEAD, 0);
}

static void supervisor_message(struct supervisor *s, const struct channel_message *message, int passed_fd)
{
	if (passed_fd >= 0 && s->tree.lock < 0)
		s->tree.lock = passed_fd;
	switch (message->type) {
	case CHANNEL_READY:
		supervisor_ready(s, message);
		break;
	case CHANNEL_REFUSED:
		tree_reap_warden(&s->tree);
		/* told to end before it stood, it refuses as well: that is no failure */
		supervisor_feed(s, PLAN_FAILED, plan_wants_tree(&s->plan) ? supervisor_refused(s, message) : 0);
		break;
	case CHANNEL_NOT_STARTED:
		if (s->leased && message->os_errno == ETIME)
			supervisor_lost(s); /* which is the reason, then */
		supervisor_feed(s, PLAN_NOT_STARTED, supervisor_not_started(s, message));
		break;
	case CHANNEL_STOPPED:
		if (message->value == SIGTSTP || message->value == SIGTTIN || message->value == SIGTTOU)
			supervisor_feed(s, PLAN_PROGRAM_STOPPED, message->value);
		break;
	case CHANNEL_ENDED:
		supervisor_feed(s, PLAN_PROGRAM_ENDED, message->value);
		break;
	case CHANNEL_PROVING:
		supervisor_feed(s, PLAN_WARDEN_PROVES, 0);
		break;
	case CHANNEL_PROVEN:
		s->tree.proven = true;
		(void)channel_send_type(s->tree.channel, CHANNEL_GIVE_LOCK, 0);
		break;
	case CHANNEL_DEAD:
		tree_reap_warden(&s->tree);
		supervisor_proven(s);
		break;
	default:
		break;
	}
}

static void supervisor_listen(struct supervisor *s)
{
	struct channel_message message;
	int passed_fd = -1;
	while (s->tree.channel >= 0) {
		switch (channel_receive(s->tree.channel, &message, &passed_fd)) {
		case CHANNEL_NOTHING:
			return;
		case CHANNEL_MESSAGE:
			supervisor_message(s, &message, passed_fd);
			break;
		default:
			tree_reap_warden(&s->tree);
			if (s->tree.proven) { /* only the lock did not come back: somebody else may have it by now */
				supervisor_proven(s);
				return;
			}
			supervisor_program_ended(s);
			/* by its dead-man timer */
			if (s->leased && supervisor_has_started(s) && !tenure_leads(s->c, NULL))
				supervisor_lost(s);
			if (s->plan.phase != PLAN_HARD)
				log_write(&s->log, 3, "run", "the program's warden was ended: ending the program");
			supervisor_feed(s, PLAN_WARDEN_DEAD, 0);
			return;
		}
	}
}

static void supervisor_alarm(struct supervisor *s)
{
	s->alarmed = true;
	log_write(&s->log, 1, "run",
	          "the program was killed and some process of it still exists (uninterruptible sleep?): leadership of "
	          "election %s is not released until it is proven dead",
	          s->o->election);
}

/* ---- what the plan wants ---- */

/* As the terminal did to the program: the shell sees the job stopped, and fg or bg continue the whole group. */
static void supervisor_stop_self(struct supervisor *s)
{
	int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (terminal < 0)
		return;
	close(terminal);
	(void)kill(getpid(), SIGSTOP);
	/* whoever continued us alone wants the program to go on */
	(void)channel_send_type(s->tree.channel, CHANNEL_SIGNAL, SIGCONT);
}

static void supervisor_release(struct supervisor *s)
{
	bool back = s->tree.lock >= 0;
	if (s->leased)
		client_proven_dead(s->c);
	if (s->tree.yielded && !back) {
		client_lost_lock(s->c);
		return;
	}
	if (s->tree.yielded) {
		client_return_lock(s->c, s->tree.lock);
		s->tree.lock = -1;
	}
	(void)tenure_resign(s->c, s->plan.why == PLAN_WHY_ASKED && s->asked_to[0] != '\0' ? s->asked_to : NULL);
}

static void supervisor_drop(struct supervisor *s)
{
	tree_drop(&s->tree);
	if (s->c)
		tenure_candidacy_free(s->c);
	s->c = NULL;
	s->alarmed = false;
}

static void supervisor_act_on_tree(struct supervisor *s, const struct plan_output *out)
{
	if (out->actions & PLAN_DO_TELL)
		(void)channel_send_type(s->tree.channel, CHANNEL_SIGNAL, out->signal);
	if (out->actions & PLAN_DO_CONTINUE)
		(void)channel_send_type(s->tree.channel, CHANNEL_SIGNAL, SIGCONT);
	if (out->actions & PLAN_DO_GO) {
		(void)channel_send_type(s->tree.channel, CHANNEL_GO, 0);
		page_file_sweep(s->tree.path); /* behind the start, which must not wait for it */
	}
	if (out->actions & PLAN_DO_HARD_STOP)
		(void)channel_send_type(s->tree.channel, CHANNEL_HARD_STOP, 0);
	if (out->actions & PLAN_DO_KILL_WARDEN) {
		log_write(&s->log, 3, "run", "the program's warden does not answer: killing it");
		tree_kill_warden(&s->tree);
	}
	if (out->actions & PLAN_DO_ALARM)
		supervisor_alarm(s);
	if (out->actions & PLAN_DO_STOP_SELF)
		supervisor_stop_self(s);
	if ((out->actions & PLAN_DO_PROVE) && tree_is_dead(&s->tree))
		supervisor_proven(s);
}

/* What an action answers at once is fed from in here: the plan's own state is settled before. */
static void supervisor_act(struct supervisor *s, const struct plan_output *out)
{
	supervisor_act_on_tree(s, out);
	if (out->actions & PLAN_DO_RELEASE)
		supervisor_release(s);
	if (out->actions & PLAN_DO_DROP)
		supervisor_drop(s);
	if (out->actions & PLAN_DO_CAMPAIGN)
		supervisor_campaign(s);
	if (out->actions & PLAN_DO_LAUNCH)
		supervisor_launch(s);
}

static void supervisor_step(struct supervisor *s, const struct plan_input *in)
{
	struct plan_output out;
	plan_step(&s->plan, in, &out);
	supervisor_act(s, &out);
}

static void supervisor_feed(struct supervisor *s, enum plan_input_kind kind, int code)
{
	supervisor_step(s, &(struct plan_input) { .kind = kind, .code = code, .now_ns = clock_now_or_zero_ns() });
}

/* ---- the loop ---- */

/* Besides the warden: what a shell left to us, or the whole container, where we are its pid 1. */
static void supervisor_reap(struct supervisor *s)
{
	for (;;) {
		siginfo_t info = { 0 };
		if (waitid(P_ALL, 0, &info, WEXITED | WNOWAIT | WNOHANG) != 0 || info.si_pid == 0)
			return;
		if (info.si_pid == s->tree.warden)
			return; /* the end of its channel tells, and it is reaped there */
		(void)waitpid(info.si_pid, NULL, WNOHANG);
	}
}

static void supervisor_signals(struct supervisor *s)
{
	for (;;) {
		struct signals_one one = signals_next(&s->signals, s->signal_fd);
		if (one.number == 0)
			return;
		if (one.number == SIGCHLD) {
			supervisor_reap(s);
			continue;
		}
		supervisor_step(s, &(struct plan_input) { .kind = PLAN_SIGNAL,
		                                          .code = one.number,
		                                          .from_terminal = one.from_terminal,
		                                          .now_ns = clock_now_or_zero_ns() });
	}
}

static void supervisor_arm(struct supervisor *s)
{
	uint64_t at_ns = plan_next_ns(&s->plan), store_ns = tenure_next_ns(s->t);
	if (store_ns < at_ns)
		at_ns = store_ns;
	if (at_ns == s->armed_ns)
		return;
	s->armed_ns = at_ns;
	/* 0 would disarm it; an instant that is over fires at once */
	uint64_t set_ns = at_ns == NS_NEVER ? 0 : at_ns == 0 ? 1 : at_ns;
	const struct itimerspec spec = { .it_value = { .tv_sec = (time_t)(set_ns / CLOCK_NS_PER_S),
		                                       .tv_nsec = (long)(set_ns % CLOCK_NS_PER_S) } };
	(void)timerfd_settime(s->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void supervisor_timer(struct supervisor *s)
{
	uint64_t n;
	if (read(s->timer_fd, &n, sizeof n) == (ssize_t)sizeof n)
		s->armed_ns = NS_NEVER;
}

static void supervisor_turn(struct supervisor *s)
{
	enum { STORE, SIGNALS, TIMER, WARDEN, INIT, N };
	bool watch_init = s->plan.phase == PLAN_RUNNING || s->plan.phase == PLAN_SOFT;
	struct pollfd polls[N] = {
		[STORE] = { .fd = tenure_fd(s->t), .events = POLLIN },
		[SIGNALS] = { .fd = s->signal_fd, .events = POLLIN },
		[TIMER] = { .fd = s->timer_fd, .events = POLLIN },
		[WARDEN] = { .fd = s->tree.channel, .events = POLLIN },
		[INIT] = { .fd = watch_init && s->plan.warden_ns == NS_NEVER ? s->tree.init_pidfd : -1,
		           .events = POLLIN },
	};
	supervisor_arm(s);
	if (poll(polls, N, -1) < 0)
		return;
	if (polls[TIMER].revents)
		supervisor_timer(s);
	if (polls[WARDEN].revents)
		supervisor_listen(s);
	if (polls[SIGNALS].revents)
		supervisor_signals(s);
	if (polls[INIT].revents && s->tree.init_pidfd >= 0)
		supervisor_feed(s, PLAN_INIT_DEAD, 0);
	if (polls[STORE].revents || tenure_next_ns(s->t) <= clock_now_or_zero_ns())
		(void)tenure_process(s->t);
	supervisor_look(s);
	supervisor_feed(s, PLAN_TICK, 0);
}

static int supervisor_loop(struct supervisor *s)
{
	const struct plan_settings settings = { .stay = s->o->stay,
		                                .mirror_stops = (client_capabilities(s->t) & STORE_ENDLESS_LEASE) != 0,
		                                .leased = s->leased,
		                                .wait_ns = s->o->wait_ns,
		                                .grace_ns = s->grace_ns,
		                                .timeout_exit_code = s->o->timeout_exit_code };
	struct plan_output out;
	plan_init(&s->plan, &settings, clock_now_or_zero_ns(), &out);
	supervisor_act(s, &out);
	while (s->plan.phase != PLAN_OVER) {
		/* the first turns are taken at once: nothing is to be waited for before the store was asked */
		if (s->plan.phase == PLAN_CAMPAIGNING && s->seen == TENURE_CONNECTING && s->c) {
			(void)tenure_process(s->t);
			supervisor_look(s);
		}
		if (s->plan.phase != PLAN_OVER)
			supervisor_turn(s);
	}
	return s->plan.exit_code;
}

static void supervisor_trace(void *arg, const char *line, size_t n_bytes)
{
	const struct supervisor *s = arg;
	(void)!write(s->o->trace_fd, line, n_bytes);
}

/* 0, or the exit code after a message. */
static int supervisor_check(const struct supervisor *s)
{
	char why[256];
	uint64_t now_ns;
	if (clock_now_ns(&now_ns) != 0) {
		log_write(&s->log, 3, "run", "CLOCK_BOOTTIME can't be read: nothing can be timed here");
		return 78;
	}
	if (s->o->least == SUPERVISOR_WEAK)
		return 0;
	enum supervisor_containment best = supervisor_best_containment(s->o->no_pid_namespace, why, sizeof why);
	if (best >= s->o->least)
		return 0;
	log_write(&s->log, 3, "run", "--containment %s can't be had here, at best %s: %s",
	          supervisor_containment_name(s->o->least), supervisor_containment_name(best), why);
	return 78;
}

/* What the store's leases mean for a program. 0, or the exit code after a message. */
static int supervisor_lease(struct supervisor *s)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct lease_timing timing;
	uint64_t kill_margin_ns = 0;
	int code = client_timing(s->t, &timing);
	s->leased = code == 0 && timing.ttl_ns != NS_NEVER;
	s->grace_ns = s->o->grace_ns == NS_NEVER ? lease_default_grace_ns(timing.ttl_ns) : s->o->grace_ns;
	if (s->leased) {
		urgency_of_caller(&s->urgency);
		s->urgent = urgency_take();
		kill_margin_ns = s->urgent ? LEASE_KILL_MARGIN_FIFO_NS : LEASE_KILL_MARGIN_OTHER_NS;
		client_deadlines_to(s->t, supervisor_on_deadline, s);
	}
	code = client_supervise(s->t, s->grace_ns, kill_margin_ns, &error);
	return code == 0 ? 0 : supervisor_fail(s, &error, code);
}

static int supervisor_session(struct supervisor *s)
{
	struct tenure_error error = TENURE_ERROR_INIT;
	struct tenure_options options = s->o->session;
	options.struct_size = sizeof options;
	options.embedded = true;
	int code = tenure_open(&s->t, s->o->store_url, &options, &error);
	if (code != 0)
		return supervisor_fail(s, &error, code);
	if (s->o->trace_fd >= 0)
		client_trace_to(s->t, supervisor_trace, s);
	int result = supervisor_lease(s);
	if (result == 0)
		result = supervisor_loop(s);
	supervisor_drop(s);
	(void)tenure_close(s->t, SUPERVISOR_CLOSE_LIMIT_NS);
	return result;
}

int supervisor_run(const struct supervisor_options *o)
{
	struct supervisor s = { .o = o, .log = { o->session.log, o->session.log_arg }, .armed_ns = NS_NEVER };
	tree_init(&s.tree);
	int closed = descriptors_fill_standard();
	s.closed_standard = closed < 0 ? (int)o->closed_stdio : closed | (int)o->closed_stdio;
	int result = supervisor_check(&s);
	if (result != 0)
		return result;
	s.signal_fd = closed < 0 ? -1 : signals_take(&s.signals);
	s.timer_fd = s.signal_fd < 0 ? -1 : timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (s.timer_fd < 0) {
		log_write(&s.log, 3, "run", "cannot execute '%s': no descriptors: %s", o->command[0], strerror(errno));
		result = 126;
	} else {
		result = supervisor_session(&s);
		close(s.timer_fd);
	}
	if (s.signal_fd >= 0)
		signals_give_back(&s.signals, s.signal_fd);
	return result;
}
