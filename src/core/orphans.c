/* Children that outlive their handle: programs that were detached, and those that could not be ended. Each stays a
 * zombie until we reap it: we do when the next program is launched, and in each round of the collector. The list
 * belongs to the Lua state, not to the module, which a host may load anew. */
#include "orphans.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../launcher/sys.h"
#include "open.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

#define ORPHANS "ns.Orphans"
#define ROUND "ns.Round"
#define LIST "ns.orphans"
#define LAST "ns.last"

struct orphan {
    struct orphan *next;
    int pidfd;
};

struct orphans {
    struct orphan *first;
    bool watched; /* an object waits for the collector's next round: new_round */
    bool closed;  /* the Lua state is being closed */
};

static void drop(struct orphan **at) {
    struct orphan *o = *at;
    *at = o->next;
    if (o->pidfd >= 0) close(o->pidfd);
    free(o);
}

static void reap(struct orphans *all) {
    struct orphan **at = &all->first;
    while (*at) {
        siginfo_t info = {0};
        long r = sys(__NR_waitid, P_PIDFD, (*at)->pidfd, &info, WEXITED | WNOHANG, NULL);
        if (FAILED(r) && r != -ECHILD)
            (*at)->pidfd = -1; /* EBADF: the host has closed our descriptor, and may have another under its number */
        if (FAILED(r) || info.si_pid != 0)
            drop(at);
        else
            at = &(*at)->next;
    }
}

static int orphans_gc(lua_State *L) {
    struct orphans *all = lua_touserdata(L, 1);
    reap(all);
    while (all->first) drop(&all->first);
    all->closed = true;
    return 0;
}

static struct orphans *get_orphans(lua_State *L) {
    lua_getfield(L, LUA_REGISTRYINDEX, LIST);
    struct orphans *all = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return all;
}

/* LAST is in the registry, so it is finalized only when the Lua state is closed. Finalizers run youngest first, and
 * LAST is made after the object of each round: so it learns of the end before that object does, and no further object
 * is made then, whose __gc LuaJIT would call after our code was unloaded. */
static int last_gc(lua_State *L) {
    lua_getfield(L, LUA_REGISTRYINDEX, LAST);
    if (lua_rawequal(L, 1, -1)) get_orphans(L)->closed = true;
    return 0;
}

/* Makes an object that nothing refers to: the collector's next round calls its __gc (round_gc), and so tells us of the
 * round. */
static int new_round(lua_State *L) {
    lua_newuserdata(L, 1);
    nsL_setclass(L, ROUND);
    lua_newuserdata(L, 1);
    nsL_setclass(L, LAST " class");
    lua_setfield(L, LUA_REGISTRYINDEX, LAST);
    return 0;
}

void nsL_watch_orphans(lua_State *L) {
    struct orphans *all = get_orphans(L);
    if (!all->watched && !all->closed) all->watched = nsL_protected(L, new_round);
}

static int round_gc(lua_State *L) {
    struct orphans *all = get_orphans(L);
    all->watched = false;
    reap(all);
    nsL_watch_orphans(L);
    return 0;
}

void nsL_orphan(lua_State *L, int pidfd) {
    struct orphans *all = get_orphans(L);
    struct orphan *o = all->closed ? NULL : malloc(sizeof *o);
    if (!o) {
        close(pidfd);
        return;
    }
    *o = (struct orphan){all->first, pidfd};
    all->first = o;
}

void nsL_reap_orphans(lua_State *L) { reap(get_orphans(L)); }

void nsL_open_orphans(lua_State *L) {
    nsL_class(L, ROUND, (luaL_Reg[]){{"__gc", round_gc}, {NULL, NULL}});
    nsL_class(L, ORPHANS, (luaL_Reg[]){{"__gc", orphans_gc}, {NULL, NULL}});
    nsL_class(L, LAST " class", (luaL_Reg[]){{"__gc", last_gc}, {NULL, NULL}});
    lua_pop(L, 3);
    if (get_orphans(L)) return;
    struct orphans *all = lua_newuserdata(L, sizeof *all);
    *all = (struct orphans){0};
    nsL_setclass(L, ORPHANS);
    lua_setfield(L, LUA_REGISTRYINDEX, LIST);
}
