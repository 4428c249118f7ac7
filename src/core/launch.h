#ifndef NS_LAUNCH_H
#define NS_LAUNCH_H

#include "compat.h"

/* h:play(plan, [seconds], [init step]) -> true | nil, "step", errno, step | nil, "boarding"|"refused", errno | nil, "died", code, how |
 * nil, "timeout", 0, step | nil, "plan", errno | nil, "again"
 * Sends the plan and awaits the answer; "again" asks to be called again, "refused" to launch anew. The launcher's words are
 * read when it has left: to be woken by each would cost more than they do. */
int nsL_play(lua_State *L);

#endif
