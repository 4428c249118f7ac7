/* What an init of one program and one of a living box have in common. */
#ifndef NS_INIT_H
#define NS_INIT_H

#include <linux/poll.h>

#include "player.h"

enum { TURN = 32 }; /* signals or ended children that are dealt with at once: more may come all the time */

/* getrusage(2)'s struct rusage; its header in the kernel does not go together with that of the C library. */
struct usage {
    long times[4], maxrss, rest[INIT_USAGE_LONGS - 5];
};

/* In a copy of the host the init is a launcher that is executed anew, so that nothing of the host stays: its arguments,
 * the socket, the descriptor of its signals, the program's pid, and `how` of the step. The program waits for it. */
enum { INIT_SOCKET, INIT_SIGNALS, INIT_PROGRAM, INIT_HOW, INIT_NUMBERS };
_Noreturn void ns_init(const int numbers[INIT_NUMBERS]);

_Noreturn void exit_init(int code);

/* Tells that a program was stopped, if few such words are still unread: one that stops again and again, before a host
 * that only waits for its end, must leave room for the word of that end. */
void tell_stop(int socket, int status);

/* Waits, for `timeout` at the most, until the signals (the first) or others, as the host's socket, want something. A
 * program may lower our RLIMIT_NOFILE until ppoll(2) takes no descriptor any more: then we look 50 times in a
 * second. */
void await_work(struct pollfd *polls, uint32_t count, const long *timeout);

/* The code with which an init ends after a program with this status of wait4(2). */
int exit_code(int status);

/* Forgets all of the plan before the steps that follow, and is closed to programs of the same id. */
void become_init(struct player *, const struct step *);

#endif
