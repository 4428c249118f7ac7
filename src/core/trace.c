/* What a filter has refused (plan.h: struct trace), in memory that is shared with the supervisor which writes it. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../plan.h"
#include "bag.h"
#include "io.h"
#include "open.h"
#include "result.h"

#define TRACE "ns.Trace"

struct shared {
    const struct trace *trace; /* NULL when it is closed */
};

static long map(struct shared *s, int fd) {
    void *at = mmap(NULL, sizeof *s->trace, PROT_READ, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) return -errno;
    s->trace = at;
    return 0;
}

/* trace(bag) -> trace, the descriptor for the launcher | nil, message, errno */
static int new_trace(lua_State *L) {
    struct shared *s = lua_newuserdata(L, sizeof *s);
    s->trace = NULL;
    nsL_setclass(L, TRACE);
    int fd = ns_new_room(sizeof *s->trace);
    if (fd < 0) return nsL_failed(L, -fd);
    long r = map(s, fd);
    if (r < 0) close(fd);
    return nsL_put(L, 1, r < 0 ? r : fd) == 1 ? 2 : 3;
}

/* An integer where every Lua has it as one. */
static void push(lua_State *L, uint32_t value) {
    if (value <= INT32_MAX)
        lua_pushinteger(L, (lua_Integer)value);
    else
        lua_pushnumber(L, value);
}

static void set_field(lua_State *L, const char *name, uint32_t value) {
    push(L, value);
    lua_setfield(L, -2, name);
}

/* t:read() -> a list of {audit =, number =, error =, count =}, and how many refusals have no place in it */
static int trace_read(lua_State *L) {
    const struct shared *s = luaL_checkudata(L, 1, TRACE);
    lua_newtable(L);
    if (!s->trace) return 1;
    uint32_t count = __atomic_load_n(&s->trace->count, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < count && i < TRACE_ROWS; i++) {
        const volatile struct refusal *row = &s->trace->rows[i];
        lua_createtable(L, 0, 4);
        set_field(L, "audit", row->audit);
        set_field(L, "number", row->number);
        set_field(L, "error", row->error);
        set_field(L, "count", row->count);
        lua_rawseti(L, -2, (int)i + 1);
    }
    push(L, s->trace->more);
    return 2;
}

static int trace_gc(lua_State *L) {
    struct shared *s = luaL_checkudata(L, 1, TRACE);
    if (s->trace) munmap((void *)s->trace, sizeof *s->trace);
    s->trace = NULL;
    return 0;
}

static const luaL_Reg methods[] = {{"read", trace_read}, {"__gc", trace_gc}, {NULL, NULL}};
static const luaL_Reg functions[] = {{"trace", new_trace}, {NULL, NULL}};

void nsL_open_trace(lua_State *L) {
    nsL_class(L, TRACE, methods);
    lua_pop(L, 1);
    nsL_setfuncs(L, functions);
}
