/* What a program has started, where neither a pid namespace nor an init ends it all: found through /proc, held by
 * pidfds.
 *
 * What has left the tree before (a daemon whose parent has ended) is not found; nor is anything where /proc is missing,
 * or is that of another pid namespace, whose numbers are those of strangers. */
#include "descendants.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../launcher/sys.h"
#include "handle.h"
#include "numbers.h"
#include "open.h"
#include "result.h"

#define DESCENDANTS "ns.Descendants"
#define PATIENCE 300000000l /* nanoseconds */
#define PIDFDS_MAX 256      /* pidfds, at the most: the host wants descriptors, too */

struct member {
    pid_t pid;
    int pidfd;               /* negative: there is none */
    unsigned long long born; /* 0: what is not ours is hidden from us (hidepid) */
    bool immune;             /* it has changed its ids: we may not signal it */
};

struct descendants {
    struct member *members;
    size_t count, room;
    bool stop; /* each when it is found: then it starts nothing more, and does not reap: its children keep their pids */
    bool no_pidfds; /* there are no descriptors for pidfds */
    long waited;    /* for such stops, nanoseconds */
};

/* If errno says that there are too many descriptors, closes the pidfds of those that are known by their birth, too:
 * true if there were any, so that it is worth another try. */
static bool give_back(struct descendants *all) {
    bool any = false;
    if (errno != EMFILE && errno != ENFILE) return false;
    for (size_t i = 0; i < all->count; i++) {
        struct member *m = &all->members[i];
        if (m->pidfd < 0 || m->born == 0) continue;
        close(m->pidfd);
        m->pidfd = -1;
        any = true;
    }
    all->no_pidfds = true;
    return any;
}

static FILE *open_text(struct descendants *all, const char *path) {
    FILE *f = fopen(path, "re");
    if (!f && give_back(all)) f = fopen(path, "re");
    return f;
}

static struct numbers read_numbers(struct descendants *all, const char *path) {
    FILE *f = open_text(all, path);
    if (!f) return (struct numbers){.count = 1, .error = errno};
    struct numbers n = ns_read_numbers(f);
    fclose(f);
    return n;
}

/* Are the numbers in /proc those that we use? In that of a namespace around ours we have two, or more. */
static bool is_proc_ours(struct descendants *all) {
    struct numbers n = read_numbers(all, "/proc/self/status");
    return n.pid == getpid() && n.count == 1;
}

static int push_proc_pid(lua_State *L, int pidfd) {
    struct numbers n = ns_numbers_of(pidfd);
    if (n.pid <= 0) return nsL_done(L, -n.error);
    lua_pushinteger(L, n.pid);
    return 1;
}

int nsL_proc_pid(lua_State *L) { return push_proc_pid(L, nsL_checkprocess(L)->s.pidfd); }

/* proc_pid(pidfd) -> the number that /proc has for it | nil, message, errno */
static int proc_pid(lua_State *L) { return push_proc_pid(L, (int)luaL_checkinteger(L, 1)); }

static DIR *open_threads(struct descendants *all, pid_t pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    if (!threads && give_back(all)) threads = opendir(path);
    return threads;
}

/* What follows the name, which may be anything, in a stat file; proc(5), from field 3 on. Empty: it is gone */
static const char *read_stat(struct descendants *all, const char *path, char *text, size_t size) {
    FILE *f = open_text(all, path);
    size_t n = f ? fread(text, 1, size - 1, f) : 0;
    if (f) fclose(f);
    text[n] = 0;
    const char *name_end = strrchr(text, ')');
    return name_end ? name_end + 1 : "";
}

/* When a process has begun: this and the pid are no other's. 0: it is gone */
static unsigned long long birth(struct descendants *all, pid_t pid) {
    char path[64], text[1024];
    unsigned long long born;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    static const char form[] = " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu";
    return sscanf(read_stat(all, path, text, sizeof text), form, &born) == 1 ? born : 0;
}

/* Where pidfds are not to be had, a member is known by its pid and its birth. */
static long signal_member(struct descendants *all, const struct member *m, int signal) {
    long r = m->pidfd < 0 ? -ENOSYS : sys(__NR_pidfd_send_signal, m->pidfd, signal, NULL, 0);
    if ((r != -ENOSYS && r != -EPERM) || (m->born == 0 && m->pidfd >= 0)) return r;
    return m->born != 0 && birth(all, m->pid) == m->born ? sys(__NR_kill, m->pid, signal) : -ESRCH;
}

static bool is_known(struct descendants *all, pid_t pid) {
    for (size_t i = 0; i < all->count; i++)
        if (all->members[i].pid == pid && signal_member(all, &all->members[i], 0) != -ESRCH) return true;
    return false;
}

static void add(struct descendants *all, pid_t pid) {
    if (is_known(all, pid)) return;
    if (all->count == all->room) {
        size_t room = all->room ? all->room * 2 : 64;
        struct member *grown = realloc(all->members, room * sizeof *grown);
        if (!grown) return;
        all->members = grown;
        all->room = room;
    }
    struct member m = {.pid = pid, .pidfd = -1};
    if (!all->no_pidfds && all->count < PIDFDS_MAX) m.pidfd = (int)sys(__NR_pidfd_open, pid, 0);
    m.born = birth(all, pid);
    if (m.born == 0 && m.pidfd < 0) return;
    if (all->stop) m.immune = signal_member(all, &m, SIGSTOP) == -EPERM;
    all->members[all->count++] = m;
}

static char state_of(struct descendants *all, pid_t pid, const char *thread) {
    char path[64], text[1024], state;
    snprintf(path, sizeof path, "/proc/%d/task/%.20s/stat", (int)pid, thread);
    return sscanf(read_stat(all, path, text, sizeof text), " %c", &state) == 1 ? state : 'X';
}

static bool is_moving(struct descendants *all, pid_t pid) {
    bool moving = false;
    DIR *threads = open_threads(all, pid);
    if (!threads) return false;
    for (struct dirent *d; !moving && (d = readdir(threads));)
        moving = d->d_name[0] != '.' && strchr("RSD", state_of(all, pid, d->d_name));
    closedir(threads);
    return moving;
}

/* Waits until a process that was sent SIGSTOP has stopped: before that it may be in the middle of a fork, and its new
 * child would not be found. State D counts as running, as a fork that waits for a lock has it. So has a vfork, for as
 * long as its child likes: hence the limit. */
static void await_stop(struct descendants *all, pid_t pid) {
    for (long pause = 50000; all->waited < PATIENCE && is_moving(all, pid); pause *= pause < 1000000 ? 2 : 1) {
        nanosleep(&(struct timespec){0, pause}, NULL);
        all->waited += pause;
    }
}

enum { SOME = 64 };

/* Some of the pids in a list of children, from *at on; how many. */
static size_t read_pids(FILE *f, long *at, int *pids) {
    size_t n = 0;
    if (fseek(f, *at, SEEK_SET) == 0)
        while (n < SOME && fscanf(f, "%d", &pids[n]) == 1) n++;
    *at = ftell(f);
    return n;
}

/* The list is closed while its processes are looked at: where descriptors are few, that takes one. */
static void add_children_of_thread(struct descendants *all, pid_t pid, const char *thread) {
    char path[64];
    int pids[SOME];
    size_t count = SOME;
    snprintf(path, sizeof path, "/proc/%d/task/%.20s/children", (int)pid, thread);
    for (long at = 0; count == SOME;) {
        FILE *f = open_text(all, path);
        if (!f) return;
        count = read_pids(f, &at, pids);
        fclose(f);
        for (size_t i = 0; i < count; i++) add(all, pids[i]);
    }
}

/* stops: it was told to stop, and does */
static void add_children(struct descendants *all, pid_t pid, bool stops) {
    if (stops) await_stop(all, pid);
    DIR *threads = open_threads(all, pid);
    if (!threads) return;
    for (struct dirent *d; (d = readdir(threads));)
        if (d->d_name[0] != '.') add_children_of_thread(all, pid, d->d_name);
    closedir(threads);
}

static void find(struct descendants *all, pid_t root, bool stops) {
    add_children(all, root, stops);
    for (size_t i = 0; i < all->count; i++)
        add_children(all, all->members[i].pid, all->stop && !all->members[i].immune);
}

static void forget(struct descendants *all) {
    for (size_t i = 0; i < all->count; i++)
        if (all->members[i].pidfd >= 0) close(all->members[i].pidfd);
    free(all->members);
    *all = (struct descendants){0};
}

static bool has_ended(struct descendants *all, pid_t pid) {
    char name[16];
    snprintf(name, sizeof name, "%d", (int)pid);
    return strchr("ZX", state_of(all, pid, name));
}

/* The pid of one that lives on, as we may not kill it; or 0. */
static pid_t kill_all(struct descendants *all) {
    pid_t immune = 0;
    for (size_t i = all->count; i-- > 0;) {
        const struct member *m = &all->members[i];
        if (signal_member(all, m, SIGKILL) == -EPERM && !(m->born && has_ended(all, m->pid))) immune = m->pid;
    }
    return immune;
}

pid_t ns_kill_descendants(pid_t pid, int pidfd) {
    struct descendants all = {.stop = true};
    if (is_proc_ours(&all)) find(&all, pid, !FAILED(ns_signal(pid, pidfd, SIGSTOP)));
    pid_t immune = kill_all(&all);
    forget(&all);
    return immune;
}

/* descendants(handle) -> what the program, which was told to stop, has started up to now */
static int new_descendants(lua_State *L) {
    struct process *p = nsL_checkprocess(L);
    struct descendants *all = lua_newuserdata(L, sizeof *all);
    *all = (struct descendants){0};
    nsL_setclass(L, DESCENDANTS);
    p->ending = true;
    if (is_proc_ours(all)) find(all, p->s.pid, true);
    return 1;
}

/* d:kill() -> the pid of one that may not be killed | nothing
 * Who still lives of it, whoever is their parent now, and what they have started since. */
static int descendants_kill(lua_State *L) {
    struct descendants *all = luaL_checkudata(L, 1, DESCENDANTS);
    all->stop = true;
    for (size_t i = 0, known = all->count; i < all->count; i++) {
        struct member *m = &all->members[i];
        long r = i < known ? signal_member(all, m, SIGSTOP) : 0;
        if (i < known) m->immune = r == -EPERM;
        if (r != -ESRCH) add_children(all, m->pid, !m->immune); /* the pid of who is gone may be somebody else's now */
    }
    pid_t immune = kill_all(all);
    forget(all);
    if (immune) lua_pushinteger(L, immune);
    return immune ? 1 : 0;
}

static int descendants_gc(lua_State *L) {
    forget(luaL_checkudata(L, 1, DESCENDANTS));
    return 0;
}

static const luaL_Reg methods[] = {{"kill", descendants_kill}, {"__gc", descendants_gc}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"descendants", new_descendants}, {"proc_pid", proc_pid}, {NULL, NULL}};

void nsL_open_descendants(lua_State *L) {
    nsL_class(L, DESCENDANTS, methods);
    lua_pop(L, 1);
    nsL_setfuncs(L, functions);
}
