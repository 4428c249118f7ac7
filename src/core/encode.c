/* Lua steps -> plan bytes: the only place that knows both worlds. The bytes are Lua's (a userdata), so any line may
 * raise. Steps are made by lua/ns/start/plan.lua: what is wrong with one is a mistake in this module, and named as
 * such. */
#include "encode.h"

#include <stddef.h>
#include <string.h>

#include "../launcher/ops.h"
#include "open.h"

#define PLAN "ns.Plan"
#define PLAN_MAX (64u << 20)

/* what stands where on the stack of `encode` */
enum { STEPS = 1, OPS, FIELDS, BYTES_AT };

struct builder {
    lua_State *L;
    int at; /* stack index of the userdata that holds the bytes, once they do not fit into `local` any more */
    char *bytes;
    size_t used, room;
    _Alignas(uint64_t) char local[16384];
};

/* Returns the offset of `size` new bytes, zeroed and aligned for what a step or a list has in it. */
static uint32_t reserve(struct builder *b, size_t size) {
    size_t offset = (b->used + sizeof(uint64_t) - 1) & ~(sizeof(uint64_t) - 1);
    if (size > PLAN_MAX || offset + size > PLAN_MAX) luaL_error(b->L, "the plan exceeds %d MiB", PLAN_MAX >> 20);
    if (offset + size > b->room) {
        size_t room = (offset + size) * 2;
        void *grown = lua_newuserdata(b->L, room);
        memcpy(grown, b->bytes, b->used);
        lua_replace(b->L, b->at);
        b->bytes = grown;
        b->room = room;
    }
    memset(b->bytes + b->used, 0, offset + size - b->used);
    b->used = offset + size;
    return (uint32_t)offset;
}

static uint32_t add_bytes(struct builder *b, const char *s, size_t size) {
    uint32_t offset = reserve(b, size + 1);
    memcpy(b->bytes + offset, s, size);
    return offset;
}

static uint32_t add_string(struct builder *b, const char *key) {
    size_t size;
    if (lua_type(b->L, -1) != LUA_TSTRING) luaL_error(b->L, "step field '%s': string expected", key);
    const char *s = lua_tolstring(b->L, -1, &size);
    if (strlen(s) != size) luaL_error(b->L, "step field '%s': string contains zeros", key);
    return add_bytes(b, s, size);
}

extern char **environ;

/* The host's own environment, which need not pass through Lua. */
static uint32_t add_environ(struct builder *b) {
    size_t count = 0;
    while (environ && environ[count]) count++;
    uint32_t list = reserve(b, (count + 1) * sizeof(uintptr_t));
    for (size_t i = 0; i < count; i++) {
        uint32_t offset = add_bytes(b, environ[i], strlen(environ[i]));
        ((uintptr_t *)(b->bytes + list))[i] = offset;
    }
    return list;
}

/* The list on top of the stack: an array of offsets that ends in 0. "host" stands for the host's environment. */
static uint32_t add_list(struct builder *b, const char *key) {
    if (lua_type(b->L, -1) == LUA_TSTRING && strcmp(lua_tostring(b->L, -1), "host") == 0) return add_environ(b);
    if (!lua_istable(b->L, -1)) luaL_error(b->L, "step field '%s': list expected", key);
    size_t count = nsL_rawlen(b->L, -1);
    uint32_t list = reserve(b, (count + 1) * sizeof(uintptr_t));
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(b->L, -1, (int)i + 1);
        uint32_t offset = add_string(b, key);
        ((uintptr_t *)(b->bytes + list))[i] = offset;
        lua_pop(b->L, 1);
    }
    return list;
}

static lua_Number add_number(struct builder *b, const char *key, lua_Number least, lua_Number most) {
    lua_Number n = lua_tonumber(b->L, -1);
    if (lua_type(b->L, -1) != LUA_TNUMBER || !(n >= least && n <= most) || n != (lua_Number)(int64_t)n)
        luaL_error(b->L, "step field '%s': integer expected", key);
    return n;
}

enum kind { STRING, BYTES, LIST, INT32, INT64, BITS, OP, NOTE };

/* To add a field: a member of struct step, a row here. */
static const struct field {
    const char *key;
    enum kind kind;
    size_t offset;
} fields[] = {
    {"op", OP, offsetof(struct step, op)},
    {"path", STRING, offsetof(struct step, path)},
    {"source", STRING, offsetof(struct step, source)},
    {"type", STRING, offsetof(struct step, type)},
    {"data", BYTES, offsetof(struct step, data)},
    {"paths", LIST, offsetof(struct step, paths)},
    {"argv", LIST, offsetof(struct step, argv)},
    {"env", LIST, offsetof(struct step, env)},
    {"options", LIST, offsetof(struct step, options)},
    {"mode", INT32, offsetof(struct step, mode)},
    {"which", INT32, offsetof(struct step, which)},
    {"limit", INT64, offsetof(struct step, limit)},
    {"ignore", INT32, offsetof(struct step, ignore)},
    {"fd", INT32, offsetof(struct step, fd)},
    {"to", INT32, offsetof(struct step, to)},
    {"how", INT32, offsetof(struct step, how)},
    {"flags", BITS, offsetof(struct step, flags)},
    {"clear", BITS, offsetof(struct step, clear)},
    {"value", INT64, offsetof(struct step, value)},
    {"word", NOTE, 0}, /* the user's word for it; of use on the way back only */
    {"from", NOTE, 0}, /* likewise, the host's path of a tree that is a descriptor */
    {"part", NOTE, 0}, /* likewise, the part of that word */
    {"of", NOTE, 0},   /* the step as it reads to the user */
};

/* Names are looked up in two tables of the registry, made at the first call: name -> number from 1. */
static void push_numbers(lua_State *L, const char *registry) {
    lua_getfield(L, LUA_REGISTRYINDEX, registry);
    if (!lua_isnil(L, -1)) return;
    lua_pop(L, 1);
    lua_newtable(L);
    bool ops = registry[3] == 'o';
    size_t count = ops ? ns_op_count : sizeof fields / sizeof fields[0];
    for (size_t i = 0; i < count; i++) {
        lua_pushinteger(L, (lua_Integer)i + 1);
        lua_setfield(L, -2, ops ? ns_ops[i].name : fields[i].key);
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, registry);
}

/* The number, from 0, of the name at the index of the stack. */
static uint32_t number_of(lua_State *L, int table, int name) {
    lua_pushvalue(L, name);
    lua_rawget(L, table);
    lua_Integer number = lua_tointeger(L, -1);
    lua_pop(L, 1);
    if (number == 0) luaL_error(L, "no such op or step field: '%s'", lua_tostring(L, name));
    return (uint32_t)number - 1;
}

/* Stores the value on top of the stack. Adding to the plan may move it: the step is looked up after that. */
static void store(struct builder *b, uint32_t step, const struct field *f) {
    lua_State *L = b->L;
    uint32_t offset = 0;
    lua_Number n = 0;
    size_t size = 0;
    if (f->kind == OP) offset = number_of(L, OPS, lua_gettop(L));
    if (f->kind == STRING) offset = add_string(b, f->key);
    if (f->kind == LIST) offset = add_list(b, f->key);
    if (f->kind == BYTES) {
        const char *s = luaL_checklstring(L, -1, &size);
        offset = add_bytes(b, s, size);
        ((struct step *)(b->bytes + step))->size = (uint32_t)size;
    }
    if (f->kind == INT32) n = add_number(b, f->key, -1, INT32_MAX);
    if (f->kind == INT64) n = add_number(b, f->key, -9007199254740992.0, 9007199254740992.0);
    if (f->kind == BITS) n = add_number(b, f->key, 0, 9007199254740992.0);
    char *at = b->bytes + step + f->offset;
    if (f->kind == INT64 || f->kind == BITS)
        *(int64_t *)at = (int64_t)n;
    else if (f->kind == INT32)
        *(int32_t *)at = (int32_t)n;
    else
        *(uint32_t *)at = offset;
}

static void add_step(struct builder *b, uint32_t step) {
    lua_State *L = b->L;
    luaL_checktype(L, -1, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        const struct field *f = &fields[number_of(L, FIELDS, lua_gettop(L) - 1)];
        if (f->kind != NOTE) store(b, step, f);
    }
}

/* plan:bytes() -> string, for who plays it elsewhere */
static int plan_bytes(lua_State *L) {
    const struct plan *plan = nsL_checkplan(L, 1);
    lua_pushlstring(L, (const char *)plan, plan->size);
    return 1;
}

/* encode(steps) -> plan */
static int encode(lua_State *L) {
    luaL_checktype(L, STEPS, LUA_TTABLE);
    lua_settop(L, STEPS);
    push_numbers(L, "ns.ops");
    push_numbers(L, "ns.fields");
    lua_pushnil(L); /* for the bytes, if they are many */
    struct builder b;
    b.L = L, b.at = BYTES_AT, b.bytes = b.local, b.used = 0, b.room = sizeof b.local;
    uint32_t count = (uint32_t)nsL_rawlen(L, STEPS);
    reserve(&b, sizeof(struct plan));
    uint32_t steps = reserve(&b, count * sizeof(struct step));
    for (uint32_t i = 0; i < count; i++) {
        lua_rawgeti(L, STEPS, (int)i + 1);
        add_step(&b, steps + i * (uint32_t)sizeof(struct step));
        lua_pop(L, 1);
    }
    reserve(&b, 1);
    *(struct plan *)b.bytes = (struct plan){PLAN_MAGIC, (uint32_t)b.used, steps, count, 0};
    memcpy(lua_newuserdata(L, b.used), b.bytes, b.used);
    nsL_class(L, PLAN, (luaL_Reg[]){{"bytes", plan_bytes}, {NULL, NULL}});
    lua_setmetatable(L, -2);
    return 1;
}

struct plan *nsL_checkplan(lua_State *L, int arg) {
    return luaL_checkudata(L, arg, PLAN);
}

static const luaL_Reg functions[] = {{"encode", encode}, {NULL, NULL}};

void nsL_open_encode(lua_State *L) { nsL_setfuncs(L, functions); }
