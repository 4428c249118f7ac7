/* ns.core: the functions that C lends to the Lua side. Users call lua/ns, never this. */
#include <string.h>

#include "open.h"

/* The length of the directory above that of a source, "@/usr/share/lua/5.4/ns" for ".../ns/words/check.lua"; 0 if it
 * has none. */
static size_t house(const char *source) {
    size_t slashes = 0, n = strlen(source);
    while (n > 0 && slashes < 2) slashes += source[--n] == '/';
    return slashes == 2 ? n : 0;
}

/* caller() -> "file:line: " of the first line on the stack that is not below the directory above that of who asks, or
 * "". In C, as a host may have taken the debug library away. */
static int nsL_caller(lua_State *L) {
    lua_Debug own = {0}, frame = {0};
    for (int level = 0; lua_getstack(L, level, &frame); level++) {
        lua_getinfo(L, "Sl", &frame);
        if (frame.currentline < 0) continue; /* C, a tail call, or without debug information */
        if (!own.source) own = frame;
        size_t n = house(own.source);
        if (frame.source == own.source || (n > 0 && !strncmp(own.source, frame.source, n) && frame.source[n] == '/'))
            continue;
        lua_pushfstring(L, "%s:%d: ", frame.short_src, frame.currentline);
        return 1;
    }
    lua_pushliteral(L, "");
    return 1;
}

/* nojit(): keeps LuaJIT's compiler out of the file that calls, as each of ours does: it may lose keys in compiled
 * loops. Any other Lua has nothing to do. Not by the global `jit`: under strict mode reading it is an error where it is
 * not there. */
static int nsL_nojit(lua_State *L) {
    enum { THE_CALLER = 0, ALLFUNC_OFF = 3 }; /* luajit.h, which is not there when this is built for Lua 5.1 */
    if (luaJIT_setmode) luaJIT_setmode(L, THE_CALLER, ALLFUNC_OFF);
    return 0;
}

static const luaL_Reg functions[] = {{"caller", nsL_caller}, {"nojit", nsL_nojit}, {NULL, NULL}};

static void (*const openers[])(lua_State *) = {
    nsL_open_orphans,     nsL_open_process,  nsL_open_launch,  nsL_open_stream,    nsL_open_bag,
    nsL_open_descendants, nsL_open_terminal, nsL_open_capture, nsL_open_watch,     nsL_open_signals,
    nsL_open_host,        nsL_open_probe,    nsL_open_encode,  nsL_open_constants, nsL_open_namespace,
    nsL_open_copy,        nsL_open_syscalls, nsL_open_group,   nsL_open_bus,       nsL_open_named,
    nsL_open_netlink,     nsL_open_sockets,  nsL_open_trace,   nsL_open_layer,     nsL_open_tape,
    nsL_open_unix,
};

NS_EXPORT int luaopen_ns_core(lua_State *L);
int luaopen_ns_core(lua_State *L) {
#if LUA_VERSION_NUM >= 502
    luaL_checkversion(L);
#endif
    lua_newtable(L);
    nsL_setfuncs(L, functions);
    for (size_t i = 0; i < sizeof openers / sizeof openers[0]; i++) openers[i](L);
    lua_pushboolean(L, __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
    lua_setfield(L, -2, "little_endian");
    return 1;
}
