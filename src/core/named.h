#ifndef NS_NAMED_H
#define NS_NAMED_H

#include "compat.h"

/* box:keep([seconds]) -> true | nil, message, errno. From then on the box outlives us, and is asked over its
 * listener. */
int nsL_keep_box(lua_State *L);

/* box:log() -> the last bytes that its program has written | nothing, where that is not kept. Also when it has
 * ended. */
int nsL_read_log(lua_State *L);

#endif
