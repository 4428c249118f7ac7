/* A Lua module that starts a thread, which sleeps. */
#include <lua.h>
#include <pthread.h>
#include <unistd.h>

static void *sleeper(void *unused) {
    for (;;) pause();
    return unused;
}

int luaopen_thread(lua_State *L);
int luaopen_thread(lua_State *L) {
    pthread_t thread;
    lua_pushboolean(L, pthread_create(&thread, 0, sleeper, 0) == 0);
    return 1;
}
