/* Bytes -> a function in Lua: the fuzzer's bytes go to the function that proof/fuzz/TARGET.lua returns, in a Lua state with
 * the real module. An error that it raises is a finding. The lines of lua/ns that run are counters for libFuzzer; with
 * NS_FUZZ_LINES=FILE those that ever ran are written there at the end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/core/compat.h"
#include "model.h"

#define QUICK __attribute__((no_sanitize("address", "undefined", "coverage")))

enum { FILES = 64, LINES = 512 };

__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t counters[FILES * LINES];
static uint32_t seen[FILES * LINES];
static struct file {
    const char *source; /* Lua keeps one string for each chunk */
    char name[64];
    bool ours;
} files[FILES];
static lua_State *L;
static bool quick;

static int add_file(int i, const char *source) {
    files[i].source = source;
    snprintf(files[i].name, sizeof files[i].name, "%s", source);
    files[i].ours = strncmp(source, "@lua/ns/", 8) == 0;
    return i;
}

QUICK static int file_number(const char *source) {
    static int last;
    if (files[last].source == source) return last;
    for (int i = 0; i < FILES; i++) {
        if (!files[i].source) return last = add_file(i, source);
        if (files[i].source == source) return last = i;
    }
    return -1;
}

QUICK static void count_line(lua_State *state, lua_Debug *ar) {
    lua_getinfo(state, "S", ar);
    int file = file_number(ar->source);
    if (file < 0 || !files[file].ours || ar->currentline >= LINES) return;
    int at = file * LINES + ar->currentline;
    if (counters[at] < 4) counters[at]++;
    seen[at] = 1;
}

static void write_lines(void) {
    const char *path = getenv("NS_FUZZ_LINES");
    FILE *f = path ? fopen(path, "w") : NULL;
    if (!f) return;
    for (int i = 0; i < FILES * LINES; i++)
        if (seen[i]) fprintf(f, "%s %d\n", files[i / LINES].name + 1, i % LINES);
    fclose(f);
}

/* ---- memory: what C gets to see, strings and userdata, has the watch of ASan; Lua's own small things come from a pool ---- */

enum { POOL = 64 << 20, SMALL = 256 };

static _Alignas(16) char pool[POOL];
static size_t used;
static void *unused[SMALL / 16 + 1];

QUICK static void *pool_take(size_t size) {
    size_t class = (size + 15) / 16;
    void *block = unused[class];
    if (block)
        unused[class] = *(void **)block;
    else if (used + class * 16 <= POOL)
        block = pool + used, used += class * 16;
    return block;
}

QUICK static void pool_put(void *block, size_t size) {
    *(void **)block = unused[(size + 15) / 16];
    unused[(size + 15) / 16] = block;
}

QUICK static void *allocate(void *ud, void *old, size_t old_size, size_t size) {
    (void)ud;
    bool pooled = (char *)old >= pool && (char *)old < pool + POOL;
    bool small = size <= SMALL && (old ? pooled : old_size != LUA_TSTRING && old_size != LUA_TUSERDATA);
    if (size == 0) return pooled ? pool_put(old, old_size) : free(old), NULL;
    if (!pooled && !small) return realloc(old, size);
    void *block = small ? pool_take(size) : malloc(size);
    if (old && block) memcpy(block, old, old_size < size ? old_size : size);
    if (old && block) pool_put(old, old_size);
    return block;
}

static void finding(const char *what) {
    fprintf(stderr, "FINDING: %s\n", what);
    abort();
}

/* play(plan bytes, answers) -> was it played? */
static int play(lua_State *state) {
    size_t size, count;
    const uint8_t *plan = (const uint8_t *)luaL_checklstring(state, 1, &size);
    const uint8_t *answers = (const uint8_t *)luaL_checklstring(state, 2, &count);
    lua_pushboolean(state, model_play(plan, size, answers, count));
    return 1;
}

static int open_model(lua_State *state) {
    luaL_newlib(state, ((luaL_Reg[]){{"play", play}, {NULL, NULL}}));
    return 1;
}

static int traceback(lua_State *state) {
    luaL_traceback(state, state, lua_tostring(state, 1), 1);
    return 1;
}

int luaopen_ns_core(lua_State *);
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    quick = getenv("NS_FUZZ_QUICK") != NULL;
    L = lua_newstate(allocate, NULL);
    luaL_openlibs(L);
    luaL_requiref(L, "ns.core", luaopen_ns_core, 0);
    luaL_requiref(L, "fuzz.model", open_model, 0);
    lua_settop(L, 0);
    lua_sethook(L, count_line, LUA_MASKLINE, 0);
    lua_pushcfunction(L, traceback);
    if (luaL_dostring(L, "package.path = 'lua/?.lua;proof/?.lua' return dofile('proof/fuzz/" TARGET ".lua')"))
        finding(lua_tostring(L, -1));
    atexit(write_lines);
    return 0;
}

/* To count lines takes half of the time. Where executions are wanted (NS_FUZZ_QUICK) it is done for one input in 32. */
static bool counted(const uint8_t *data, size_t size) {
    unsigned sum = 0;
    for (size_t i = 0; quick && i < size; i++) sum = sum * 31 + data[i];
    return sum % 32 == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    lua_sethook(L, count_line, counted(data, size) ? LUA_MASKLINE : 0, 0);
    lua_pushvalue(L, 2);
    lua_pushlstring(L, (const char *)data, size);
    if (lua_pcall(L, 1, 0, 1) != LUA_OK) finding(lua_tostring(L, -1));
    return 0;
}
