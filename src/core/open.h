/* Each file that lends functions to Lua has an opener: it adds them to the module's table, on top of the stack, and
 * makes the classes of what they return. core.c calls them all. */
#ifndef NS_OPEN_H
#define NS_OPEN_H

#include "compat.h"

void nsL_open_bag(lua_State *L);
void nsL_open_bus(lua_State *L);
void nsL_open_capture(lua_State *L);
void nsL_open_constants(lua_State *L);
void nsL_open_copy(lua_State *L);
void nsL_open_group(lua_State *L);
void nsL_open_host(lua_State *L);
void nsL_open_launch(lua_State *L);
void nsL_open_layer(lua_State *L);
void nsL_open_named(lua_State *L);
void nsL_open_namespace(lua_State *L);
void nsL_open_netlink(lua_State *L);
void nsL_open_orphans(lua_State *L);
void nsL_open_encode(lua_State *L);
void nsL_open_probe(lua_State *L);
void nsL_open_process(lua_State *L);
void nsL_open_signals(lua_State *L);
void nsL_open_sockets(lua_State *L);
void nsL_open_stream(lua_State *L);
void nsL_open_syscalls(lua_State *L);
void nsL_open_tape(lua_State *L);
void nsL_open_terminal(lua_State *L);
void nsL_open_descendants(lua_State *L);
void nsL_open_trace(lua_State *L);
void nsL_open_unix(lua_State *L);
void nsL_open_watch(lua_State *L);

#endif
