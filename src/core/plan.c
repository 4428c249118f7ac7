/* Lua steps -> plan bytes: the only place that knows both worlds. The bytes are Lua's (a userdata), so any line may
 * raise. Steps are made by lua/ns/plan.lua: what is wrong with one is a mistake in this module, and named as such. */
#include "core.h"

#include <stddef.h>
#include <string.h>

#include "../launcher/launcher.h"

#define PLAN "ns.Plan"
#define PLAN_MAX (64u << 20)

struct builder {
    lua_State *L;
    int at; /* stack index of the userdata that holds the bytes */
    size_t used, room;
};

static char *bytes(struct builder *b) { return lua_touserdata(b->L, b->at); }

/* Returns the offset of `size` new bytes, zeroed and aligned for a pointer. */
static uint32_t reserve(struct builder *b, size_t size) {
    size_t offset = (b->used + sizeof(uintptr_t) - 1) & ~(sizeof(uintptr_t) - 1);
    if (size > PLAN_MAX || offset + size > PLAN_MAX) luaL_error(b->L, "the plan exceeds %d MiB", PLAN_MAX >> 20);
    if (offset + size > b->room) {
        size_t room = (offset + size) * 2;
        void *grown = lua_newuserdata(b->L, room);
        memset(grown, 0, room);
        if (b->used > 0) memcpy(grown, bytes(b), b->used);
        lua_replace(b->L, b->at);
        b->room = room;
    }
    b->used = offset + size;
    return (uint32_t)offset;
}

static uint32_t add_bytes(struct builder *b, const char *s, size_t size) {
    uint32_t offset = reserve(b, size + 1);
    memcpy(bytes(b) + offset, s, size);
    return offset;
}

static uint32_t add_string(struct builder *b, const char *key) {
    size_t size;
    if (lua_type(b->L, -1) != LUA_TSTRING) luaL_error(b->L, "step field '%s': string expected", key);
    const char *s = lua_tolstring(b->L, -1, &size);
    if (strlen(s) != size) luaL_error(b->L, "step field '%s': string contains zeros", key);
    return add_bytes(b, s, size);
}

/* The list on top of the stack: an array of offsets that ends in 0. */
static uint32_t add_list(struct builder *b, const char *key) {
    if (!lua_istable(b->L, -1)) luaL_error(b->L, "step field '%s': list expected", key);
    size_t count = nsL_rawlen(b->L, -1);
    uint32_t list = reserve(b, (count + 1) * sizeof(uintptr_t));
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(b->L, -1, (int)i + 1);
        uint32_t offset = add_string(b, key);
        ((uintptr_t *)(bytes(b) + list))[i] = offset;
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
    {"ignore", INT32, offsetof(struct step, ignore)},
    {"fd", INT32, offsetof(struct step, fd)},
    {"to", INT32, offsetof(struct step, to)},
    {"flags", BITS, offsetof(struct step, flags)},
    {"value", INT64, offsetof(struct step, value)},
    {"word", NOTE, 0}, /* the user's word for it; of use on the way back only */
};

static uint32_t find_op(lua_State *L, const char *name) {
    for (uint32_t op = 0; name && op < ns_op_count; op++)
        if (strcmp(ns_ops[op].name, name) == 0) return op;
    return (uint32_t)luaL_error(L, "no such op: '%s'", name ? name : "?");
}

static const struct field *find_field(lua_State *L, const char *key) {
    for (size_t i = 0; key && i < sizeof fields / sizeof fields[0]; i++)
        if (strcmp(fields[i].key, key) == 0) return &fields[i];
    luaL_error(L, "no such step field: '%s'", key ? key : "?");
    return NULL;
}

/* Stores the value on top of the stack. Adding to the plan may move it: the step is looked up after that. */
static void store(struct builder *b, uint32_t step, const struct field *f) {
    lua_State *L = b->L;
    uint32_t offset = 0;
    lua_Number n = 0;
    size_t size = 0;
    if (f->kind == OP) offset = find_op(L, lua_tostring(L, -1));
    if (f->kind == STRING) offset = add_string(b, f->key);
    if (f->kind == LIST) offset = add_list(b, f->key);
    if (f->kind == BYTES) {
        const char *s = luaL_checklstring(L, -1, &size);
        offset = add_bytes(b, s, size);
        ((struct step *)(bytes(b) + step))->size = (uint32_t)size;
    }
    if (f->kind == INT32) n = add_number(b, f->key, -1, INT32_MAX);
    if (f->kind == INT64) n = add_number(b, f->key, -9007199254740992.0, 9007199254740992.0);
    if (f->kind == BITS) n = add_number(b, f->key, 0, 9007199254740992.0);
    char *at = bytes(b) + step + f->offset;
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
        const struct field *f = find_field(L, lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL);
        if (f->kind != NOTE) store(b, step, f);
    }
}

/* encode(steps) -> plan */
int nsL_encode(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_pushnil(L); /* the bytes will stand here */
    struct builder b = {L, 2, 0, 0};
    uint32_t count = (uint32_t)nsL_rawlen(L, 1);
    reserve(&b, sizeof(struct plan));
    uint32_t steps = reserve(&b, count * sizeof(struct step));
    for (uint32_t i = 0; i < count; i++) {
        lua_rawgeti(L, 1, (int)i + 1);
        add_step(&b, steps + i * (uint32_t)sizeof(struct step));
        lua_pop(L, 1);
    }
    reserve(&b, 1);
    *(struct plan *)bytes(&b) = (struct plan){PLAN_MAGIC, (uint32_t)b.used, steps, count, 0};
    nsL_class(L, PLAN, (luaL_Reg[]){{NULL, NULL}});
    lua_setmetatable(L, 2);
    lua_settop(L, 2);
    return 1;
}

struct plan *nsL_checkplan(lua_State *L, int arg) {
    return luaL_checkudata(L, arg, PLAN);
}
