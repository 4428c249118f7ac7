/* A host whose memory runs out: runs a script again and again, each time with one more allocation granted, until it comes
 * through. After each failure there must be neither a child nor a descriptor left.
 * usage: alloc script.lua */
#include <dirent.h>
#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

static long granted;

static void *allocate(void *unused, void *old, size_t old_size, size_t size) {
    (void)unused;
    if (size == 0) {
        free(old);
        return NULL;
    }
    if ((!old || size > old_size) && granted-- <= 0) return NULL;
    return realloc(old, size);
}

static int descriptors(void) {
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir && readdir(dir)) count++;
    if (dir) closedir(dir);
    return count;
}

/* Everything that may fail is done inside a protected call, opening the libraries too. */
static int prepare(lua_State *L) {
    luaL_openlibs(L);
    if (luaL_loadfile(L, lua_touserdata(L, 1))) return lua_error(L);
    lua_call(L, 0, 1);
    return 1;
}

/* The script returns the function to be tried; only that one runs short of memory. */
static int attempt(const char *script, long n) {
    granted = 1L << 40;
    lua_State *L = lua_newstate(allocate, NULL);
    lua_pushcfunction(L, prepare);
    lua_pushlightuserdata(L, (void *)script);
    if (lua_pcall(L, 1, 1, 0)) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        exit(2);
    }
    lua_gc(L, LUA_GCSTOP, 0);
    granted = n;
    int failed = lua_pcall(L, 0, 0, 0);
    granted = 1L << 40;
    lua_gc(L, LUA_GCCOLLECT, 0);
    lua_close(L);
    return failed;
}

int main(int argc, char **argv) {
    long n = 0;
    int before = descriptors();
    if (argc != 2) return 2;
    while (attempt(argv[1], n++)) {
        if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD) return printf("a child is left at %ld\n", n), 1;
        if (descriptors() != before) return printf("a descriptor is left at %ld\n", n), 1;
    }
    printf("%s\n", n > 50 ? "clean" : "too few");
    return 0;
}
