#ifndef NS_LAUNCH_H
#define NS_LAUNCH_H

#include "compat.h"
#include "image.h"

/* The launcher of this Lua state: closed with it. */
struct image *nsL_image(lua_State *L);

/* h:play(plan, [seconds], [init step]) -> true | nil, "step", errno, step | nil, "exec"|"retry", errno | nil, "died",
 * code, how | nil, "timeout", 0, step | nil, "plan"|"init", errno | nil, "again" Sends the plan and awaits the answer;
 * "again" asks to be called again, "retry" to launch anew. The launcher's records are read when it has left: to be
 * woken by each would cost more than to read them. */
int nsL_play(lua_State *L);

#endif
