#ifndef NS_JOB_H
#define NS_JOB_H

#include "handle.h"

/* box:start_job({descriptor, ...}, plan, how, [seconds]) -> handle | nil, step, errno. The descriptors are 1, 2, ... in
 * the plan. */
int nsL_start_job(lua_State *L);

/* box:signal_all(signal) -> true | nil, "kill", errno */
int nsL_signal_all(lua_State *L);

/* Sends the init a request, with descriptors. It reads requests at once; only where somebody has stopped it may there
 * be no room for one: then `seconds` is how long that is waited for. 0 or more, or -errno. */
long ns_ask(int box, const struct record *request, const int *fds, int count, double seconds);

/* Asks an init for something that needs no descriptors (REQUEST_*): 0 or more, or -errno; ESRCH when it has ended. */
long ns_ask_init(const struct process *p, uint32_t what, int value);

/* Asks an init to send a signal; 0 or more, or -errno. */
long ns_ask_signal(const struct process *p, int signal);

#endif
