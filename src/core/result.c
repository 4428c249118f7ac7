/* What a function of the core gives back to Lua: each of these pushes it, and returns how many values that are. */
#include "result.h"

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
