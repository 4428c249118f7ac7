/* What differs between Lua 5.1 ... 5.5 and LuaJIT. The prefix is ours: LuaJIT declares some of the 5.2 names itself,
 * and one binary built with the 5.1 headers runs in both. */
#ifndef NS_COMPAT_H
#define NS_COMPAT_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h> /* LUA_FILEHANDLE in 5.1 */
#include <stdbool.h>

#if defined(NS_LUA) && NS_LUA != LUA_VERSION_NUM
#error "this is lua.h of another Lua than LUA_VERSION says: LUA_INCDIR names the directory of the right one"
#endif

#define NS_EXPORT __attribute__((visibility("default")))

/* Only LuaJIT has it: there when we are loaded by one, whatever we were built for. */
extern __attribute__((weak)) int luaJIT_setmode(lua_State *, int index, int mode);

#if LUA_VERSION_NUM >= 502
#define nsL_rawlen lua_rawlen
#define nsL_setfuncs(L, list) luaL_setfuncs(L, list, 0)
#else
#define nsL_rawlen lua_objlen
static inline void nsL_setfuncs(lua_State *L, const luaL_Reg *list) {
    for (; list->name; list++) {
        lua_pushcfunction(L, list->func);
        lua_setfield(L, -2, list->name);
    }
}
#endif

/* Calls a function without arguments and results. Has it come to its end? */
static inline bool nsL_protected(lua_State *L, lua_CFunction f) {
#if LUA_VERSION_NUM >= 502
    lua_pushcfunction(L, f);
    int error = lua_pcall(L, 0, 0, 0);
#else
    int error = lua_cpcall(L, f, NULL);
#endif
    if (error) lua_pop(L, 1);
    return !error;
}

/* Leaves the metatable of a class on the stack: made at the first call, found at the next (busted opens us per file).
 * It is registered when it is whole, as memory may run out on the way there. */
static inline void nsL_class(lua_State *L, const char *name, const luaL_Reg *methods) {
    luaL_getmetatable(L, name);
    if (!lua_isnil(L, -1)) return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    nsL_setfuncs(L, methods);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, name);
}

static inline void nsL_setclass(lua_State *L, const char *name) {
    luaL_getmetatable(L, name);
    lua_setmetatable(L, -2);
}

#endif
