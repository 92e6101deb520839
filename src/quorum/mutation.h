/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules that can be dropped one by one, to show that the simulator sees it. Only in its own build (QUORUM_MUTATIONS);
 * elsewhere MUTANT() is the constant false and costs nothing. PURE.
 */
#ifndef TENURE_QUORUM_MUTATION_H
#define TENURE_QUORUM_MUTATION_H

#include <stdbool.h>
#include <stdint.h>

/* X(name, rule, what is left out) */
#define QUORUM_MUTATION_LIST(X)                                                                                        \
	X(nohold, "R24", "votes at once after an unclean start")                                                       \
	X(shorthold, "R24", "holds for half of max_ttl only")                                                          \
	X(noquiet, "R24", "adopts at once after an unclean start")                                                     \
	X(holdvote, "R12", "an adopted holder gets votes within the hold")                                             \
	X(relhold, "R11", "RELEASE ends the hold")                                                                     \
	X(relvoted, "R11", "RELEASE matches by voted instead of the slot")                                             \
	X(relterm, "R11", "RELEASE of a lower term than the slot's acts too")                                          \
	X(votevoted, "R6", "the exception looks at voted instead of the slot")                                         \
	X(voteheld, "R6", "votes although the slot is held")                                                           \
	X(revote, "R7", "votes twice in one term")                                                                     \
	X(reackvoted, "R7", "a repeated VOTE is answered by voted instead of the slot")                                \
	X(reackatt, "R7", "a repeated VOTE clears att")                                                                \
	X(reackshort, "R7", "a repeated VOTE is acknowledged without a longer lease")                                  \
	X(shrink, "R8", "a lease may shrink")                                                                          \
	X(overttl, "R8", "a ttl above max_ttl is granted on the wire but not kept")                                    \
	X(adoptlive, "R12", "a live foreign slot is taken by ATTACH or RENEW")                                         \
	X(adoptrel, "R12", "a released slot revives for its holder")                                                   \
	X(ceillost, "R24", "terms start at 0 after a crash")                                                           \
	X(ceillate, "R22", "the ceiling is raised one grant late")                                                     \
	X(ceilstale, "R22", "a request that waited for the disk is not tested again")                                  \
	X(snaptwice, "R25", "a snapshot serves twice")                                                                 \
	X(snapserve, "R25", "requests are served after the snapshot")                                                  \
	X(maxttllate, "R26", "a longer max_ttl is granted before it is durable")                                       \
	X(dropbase, "R27", "a dropped record does not raise the base term")                                            \
	X(revive, "R29", "an ended session is renewed")                                                                \
	X(noepoch, "R29", "an old sid is accepted after a restart")                                                    \
	X(attepoch, "R30", "ATTACH of an old sid is accepted")                                                         \
	X(voterclock, "R2", "a voter's end is over by one clock")                                                      \
	X(candclock, "R2", "a candidate's end is over by both clocks only")                                            \
	X(lastsend, "R3", "covers count from the newest round's send time")                                            \
	X(acktime, "R3", "covers count from the time of the answer")                                                   \
	X(stalestamp, "R3", "the voter's clock is read before the request")                                            \
	X(nodrift, "R4", "D(x) = x")                                                                                   \
	X(askedttl, "R4", "the ttl asked for counts, not the one granted")                                             \
	X(sameinc, "R1", "an incarnation comes again after a restart")                                                 \
	X(termmix, "R9", "an answer counts for another term")                                                          \
	X(ackcount, "R9", "answers are counted twice for one voter")                                                   \
	X(coverkeep, "R16", "covers of an earlier term count")                                                         \
	X(winlate, "R17", "q answers win even after the deadline")                                                     \
	X(relearly, "R18", "RELEASE goes out before belief is over")                                                   \
	X(nomask, "R19", "any session's answer counts, attached or not")                                               \
	X(regain, "R20", "an answer after a lapse revives belief")                                                     \
	X(renewany, "R20", "ATTACH and RENEW are sent without belief")                                                 \
	X(sameterm, "R21", "an incarnation uses a term again")                                                         \
	X(noghost, "R21", "answers for what is over are not released")                                                 \
	X(keepmask, "R31", "the mask is kept over a new sid")                                                          \
	X(oldsid, "R31", "answers of an old sid count")                                                                \
	X(oldconn, "R28", "answers of an older connection count")                                                      \
	X(connno, "R28", "an older connection takes the session back")                                                 \
	X(connreset, "R14", "a closed connection ends the lease")                                                      \
	X(relonce, "R32", "RELEASE is not repeated")                                                                   \
	X(noaudit, "R32", "the number of attached elections is not compared")                                          \
	X(leap, "R15", "any term is granted")                                                                          \
	X(leddrop, "R13", "a term below one that led is attached")                                                     \
	X(highest, "R16", "a campaign outbids the highest term instead of the q-th")                                   \
	X(grant, "R34", "a nudge is taken for a grant")                                                                \
	X(nonudge, "R33", "nobody is nudged")                                                                          \
	X(nowait, "R33", "a broken connection loses its place for good")                                               \
	X(noreserve, "R35", "the successor's place is not kept")

enum quorum_mutation {
#define QUORUM_MUTATION_X(name, rule, what) MUTATION_##name,
	QUORUM_MUTATION_LIST(QUORUM_MUTATION_X)
#undef QUORUM_MUTATION_X
	        MUTATION_COUNT
};

struct quorum_mutations { /* all zero: none */
	bool dropped[64];
};

_Static_assert(MUTATION_COUNT <= 64, "struct quorum_mutations is too small");

#ifdef QUORUM_MUTATIONS
#define MUTANT(owner, name) ((owner)->mutations.dropped[MUTATION_##name])
#else
#define MUTANT(owner, name) ((void)(owner), false)
#endif

#endif
