/* A host whose memory runs out: runs a script again and again, each time in a new copy of itself and with one more
 * allocation granted, until it comes through. After each failure the same state must do it when it has memory again, and at
 * its end there must be neither a child nor a descriptor left, nor a signal blocked.
 * usage: alloc script.lua [lua|heap] [on|once] [stride]
 *   lua   what Lua allocates; heap: what the module asks of the C library, if it was built with proof/heap.h
 *   on    nothing is granted any more; once: one allocation fails, for which Lua collects and tries again
 *   stride  how many allocations more are granted each time */
#include <dirent.h>
#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MANY (1L << 40)
#if LUA_VERSION_NUM >= 505
#define lua_newstate(allocate, data) lua_newstate(allocate, data, 0) /* a seed for its hashes */
#endif

static long lua_granted = MANY, heap_granted = MANY, *granted = &lua_granted;
static int once;
static long refused;

__attribute__((visibility("default"))) int starve(void);

static int is_refused(long *count) {
    if (count != granted || (*count)-- > 0) return 0;
    if (once) *count = MANY;
    return (int)++refused;
}

/* proof/heap.h asks this before each allocation of the module's C code. */
int starve(void) { return is_refused(&heap_granted); }

static void *allocate(void *unused, void *old, size_t old_size, size_t size) {
    (void)unused;
    if (size == 0) {
        free(old);
        return NULL;
    }
    if ((!old || size > old_size) && is_refused(&lua_granted)) return NULL;
    return realloc(old, size);
}

static int descriptors(void) {
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir && readdir(dir)) count++;
    if (dir) closedir(dir);
    return count;
}

static int blocked(void) {
    sigset_t mask;
    int count = 0;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    for (int signal = 1; signal < 64; signal++) count += sigismember(&mask, signal) == 1;
    return count;
}

/* Everything that may fail is done inside a protected call, opening the libraries too. */
static int prepare(lua_State *L) {
    luaL_openlibs(L);
    if (luaL_loadfile(L, lua_touserdata(L, 1))) return lua_error(L);
    lua_call(L, 0, 1);
    return 1;
}

static void must(lua_State *L, int failed, const char *what, long n) {
    if (!failed) return;
    printf("%s at %ld: %s\n", what, n, lua_tostring(L, -1));
    exit(1);
}

enum { CLEAN, BROKEN, UNHARMED };

/* The life of a copy of the host that has loaded the script, which returned the function to be tried. */
static int attempt(lua_State *L, long n) {
    int before = descriptors(), mask = blocked();
    if (!once) lua_gc(L, LUA_GCSTOP, 0);
    *granted = n;
    lua_pushvalue(L, 1);
    int failed = lua_pcall(L, 0, 0, 0);
    *granted = MANY;
    if (!refused) must(L, failed, "failed with memory", n);
    lua_settop(L, 1);
    lua_gc(L, LUA_GCRESTART, 0);
    lua_gc(L, LUA_GCCOLLECT, 0);
    if (refused) must(L, lua_pcall(L, 0, 0, 0), "failed again, with memory,", n);
    lua_close(L);
    if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD) return printf("a child is left at %ld\n", n), BROKEN;
    if (descriptors() != before) return printf("a descriptor is left at %ld\n", n), BROKEN;
    if (blocked() != mask) return printf("a signal is blocked at %ld\n", n), BROKEN;
    return refused ? CLEAN : UNHARMED;
}

int main(int argc, char **argv) {
    long n = 0, tried = 0;
    int status = 0;
    if (argc < 2) return 2;
    if (argc > 2 && strcmp(argv[2], "heap") == 0) granted = &heap_granted;
    once = argc > 3 && strcmp(argv[3], "once") == 0;
    long stride = argc > 4 ? atol(argv[4]) : 1;
    lua_State *L = lua_newstate(allocate, NULL);
    lua_pushcfunction(L, prepare);
    lua_pushlightuserdata(L, argv[1]);
    must(L, lua_pcall(L, 1, 1, 0), "not prepared", 0);
    for (;; n += stride, tried++) {
        pid_t copy = fork();
        if (copy == 0) exit(attempt(L, n));
        if (copy < 0 || waitpid(copy, &status, 0) < 0 || status != W_EXITCODE(CLEAN, 0)) break;
    }
    lua_close(L);
    if (status != W_EXITCODE(UNHARMED, 0)) return printf("ended with %#x at %ld\n", (unsigned)status, n), 1;
    printf("%ld allocations refused: clean\n", tried);
    return 0;
}
