/* ns.core: the functions that C lends to the Lua side. Users call lua/ns, never this. */
#include "core.h"

#include <errno.h>
#include <string.h>

#include "../launcher/sys.h"

int nsL_refused(lua_State *L, const char *step, int error) {
    lua_pushnil(L);
    lua_pushstring(L, step);
    lua_pushinteger(L, error);
    return 3;
}

int nsL_failed(lua_State *L, int error) { return nsL_refused(L, strerror(error), error); }

int nsL_number(lua_State *L, int value) {
    if (value < 0) return nsL_failed(L, errno);
    lua_pushinteger(L, value);
    return 1;
}

int nsL_done(lua_State *L, long r) {
    if (FAILED(r)) return nsL_failed(L, (int)-r);
    lua_pushboolean(L, 1);
    return 1;
}

/* The length of a source's directory: "@/usr/share/lua/5.4/ns/" */
static size_t directory(const char *source) {
    const char *end = strrchr(source, '/');
    return end ? (size_t)(end - source) : 0;
}

/* caller() -> "file:line: " of the first line on the stack that is not in the directory of who asks, or "". In C, as a host
 * may have taken the debug library away. */
static int nsL_caller(lua_State *L) {
    lua_Debug own = {0}, frame = {0};
    for (int level = 0; lua_getstack(L, level, &frame); level++) {
        lua_getinfo(L, "Sl", &frame);
        if (frame.currentline < 0) continue; /* C, a tail call, or without debug information */
        if (!own.source) own = frame;
        size_t n = directory(own.source);
        if (n == directory(frame.source) && !memcmp(own.source, frame.source, n)) continue;
        lua_pushfstring(L, "%s:%d: ", frame.short_src, frame.currentline);
        return 1;
    }
    lua_pushliteral(L, "");
    return 1;
}

/* nojit(): keeps LuaJIT's compiler out of the file that calls, as each of ours does: it may lose keys in compiled loops. Any
 * other Lua has nothing to do. Not by the global `jit`: under strict mode reading it is an error where it is not there. */
static int nsL_nojit(lua_State *L) {
    enum { THE_CALLER = 0, ALLFUNC_OFF = 3 }; /* luajit.h, which is not there when this is built for Lua 5.1 */
    if (luaJIT_setmode) luaJIT_setmode(L, THE_CALLER, ALLFUNC_OFF);
    return 0;
}

static const luaL_Reg functions[] = {
    {"caller", nsL_caller},
    {"nojit", nsL_nojit},
    {"encode", nsL_encode},
    {"launch", nsL_launch},
    {"launches", nsL_launches},
    {"tree", nsL_tree},
    {"capture", nsL_capture},
    {"fileno", nsL_fileno},
    {"buffered", nsL_buffered},
    {"ahead", nsL_ahead},
    {"pending", nsL_pending},
    {"hurry", nsL_hurry},
    {"read_now", nsL_read_now},
    {"write_now", nsL_write_now},
    {"watch", nsL_watch},
    {"poll", nsL_poll},
    {"catch", nsL_catch},
    {"bag", nsL_bag},
    {NULL, NULL},
};

NS_EXPORT int luaopen_ns_core(lua_State *L);
int luaopen_ns_core(lua_State *L) {
#if LUA_VERSION_NUM >= 502
    luaL_checkversion(L);
#endif
    nsL_open_process(L);
    nsL_open_stream(L);
    nsL_open_bag(L);
    nsL_open_tree(L);
    nsL_open_terminal(L);
    nsL_open_capture(L);
    nsL_open_watch(L);
    nsL_open_signals(L);
    nsL_open_host(L);
    lua_newtable(L);
    nsL_setfuncs(L, functions);
    nsL_setfuncs(L, ns_host_functions);
    nsL_setfuncs(L, ns_probe_functions);
    nsL_setfuncs(L, ns_terminal_functions);
    nsL_constants(L);
    lua_setfield(L, -2, "constants");
    lua_pushboolean(L, __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
    lua_setfield(L, -2, "little_endian");
    return 1;
}
