/* A host with eight threads, each with a Lua state of its own, that spawn at the same time. Each child must have the
 * descriptors 0 to 2 alone, and each status must be the one that its program chose.
 * usage: threads COUNT    how many spawns each thread makes */
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 8 };

int luaopen_ns_core(lua_State *L);

static const char script[] = "local ns, thread, count = require 'ns', ...\n"
                             "local failures = 0\n"
                             "for i = 1, count do\n"
                             "  local code = (thread * 31 + i) % 250\n"
                             "  local r = assert(ns.run { 'sh', '-c', 'echo /proc/self/fd/*; exit ' .. code,\n"
                             "    flags = i % 4 == 0 and 'user,pid' or nil })\n"
                             "  local fds = r.stdout:gsub('/proc/self/fd/', '')\n"
                             "  if r.code ~= code or not (fds == '0 1 2 3\\n' or fds == '0 1 2\\n') then\n"
                             "    failures = failures + 1\n"
                             "    io.stderr:write(thread, ' ', i, ': ', tostring(r), ' ', fds)\n"
                             "  end\n"
                             "end\n"
                             "return failures";

struct thread {
    pthread_t id;
    int number, count, failures;
};

static void *run(void *argument) {
    struct thread *t = argument;
    lua_State *L = luaL_newstate();
    t->failures = t->count;
    luaL_openlibs(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, luaopen_ns_core);
    lua_setfield(L, -2, "ns.core");
    int bad = luaL_loadstring(L, script);
    lua_pushinteger(L, t->number);
    lua_pushinteger(L, t->count);
    if (!bad && lua_pcall(L, 2, 1, 0) == LUA_OK)
        t->failures = (int)lua_tointeger(L, -1);
    else
        fprintf(stderr, "%d: %s\n", t->number, lua_tostring(L, -1));
    lua_close(L);
    return NULL;
}

int main(int argc, char **argv) {
    struct thread threads[THREADS];
    int failures = 0, count = argc > 1 ? atoi(argv[1]) : 10;
    for (int i = 0; i < THREADS; i++) {
        threads[i] = (struct thread){.number = i, .count = count};
        pthread_create(&threads[i].id, NULL, run, &threads[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i].id, NULL);
        failures += threads[i].failures;
    }
    printf("%d threads, %d failures in %d spawns\n", THREADS, failures, THREADS * count);
    return failures > 0;
}
