#ifndef NS_ORPHANS_H
#define NS_ORPHANS_H

#include "compat.h"

/* Takes a child over, with its pidfd. */
void nsL_orphan(lua_State *L, int pidfd);
void nsL_reap_orphans(lua_State *L);

/* From now on they are reaped whenever the collector comes. Not for the collector's own calls: the Lua state may be
 * ending. */
void nsL_watch_orphans(lua_State *L);

#endif
