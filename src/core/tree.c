/* What a program has started, where neither a pid namespace nor an init ends it all: found through /proc, held by pidfds.
 *
 * What has left the tree before (a daemon whose parent has ended) is not found; nor is anything where /proc is missing, or
 * is that of another pid namespace, whose numbers are those of strangers. */
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "../launcher/sys.h"
#include "handle.h"
#include "open.h"
#include "result.h"

#define TREE "ns.Tree"
#define PATIENCE 300000000l /* nanoseconds */
#define HELD 256            /* pidfds, at the most: the host wants descriptors, too */

struct member {
    pid_t pid;
    int pidfd;               /* negative: there is none */
    unsigned long long born; /* 0: what is not ours is hidden from us (hidepid) */
    bool refused;            /* it has changed its ids: we may not signal it */
};

struct tree {
    struct member *members;
    size_t count, room;
    bool stop;   /* who is stopped starts nothing more, and does not reap: so the children keep their pids meanwhile */
    bool poor;   /* there are no descriptors for pidfds */
    long waited; /* for such stops, nanoseconds */
};

/* Descriptors are short, errno says: the tree gives back those that it holds. Did that help? */
static bool give_back(struct tree *t) {
    bool any = false;
    if (errno != EMFILE && errno != ENFILE) return false;
    for (size_t i = 0; i < t->count; i++) {
        struct member *m = &t->members[i];
        if (m->pidfd < 0) continue;
        close(m->pidfd);
        m->pidfd = -1;
        any = true;
    }
    t->poor = true;
    return any;
}

static FILE *open_text(struct tree *t, const char *path) {
    FILE *f = fopen(path, "re");
    if (!f && give_back(t)) f = fopen(path, "re");
    return f;
}

/* What /proc says of a process: its number there, 0 if it has none; and how many it has, from that namespace on inwards. A
 * kernel without pid namespaces says nothing of the latter. */
struct numbers {
    int pid, count, error;
};

static struct numbers read_numbers(struct tree *t, const char *path) {
    char line[256];
    struct statfs fs;
    struct numbers n = {0, 1, ESRCH};
    int first, second;
    FILE *f = open_text(t, path);
    if (!f) return n.error = errno, n;
    bool known = fstatfs(fileno(f), &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC;
    while (!known && fgets(line, sizeof line, f)) {
        if (sscanf(line, "Pid: %d", &n.pid) == 1) continue;
        known = strncmp(line, "NSpid:", 6) == 0;
        if (known) n.count = sscanf(line + 6, "%d %d", &first, &second);
    }
    fclose(f);
    return n;
}

/* Are the numbers in /proc those that we use? In that of a namespace around ours we have two, or more. */
static bool is_proc_ours(struct tree *t) {
    struct numbers n = read_numbers(t, "/proc/self/status");
    return n.pid == getpid() && n.count == 1;
}

int nsL_proc_pid(lua_State *L) {
    struct tree t = {.poor = true};
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", nsL_checkprocess(L)->s.pidfd);
    struct numbers n = read_numbers(&t, path);
    if (n.pid <= 0) return nsL_done(L, -n.error);
    lua_pushinteger(L, n.pid);
    return 1;
}

static DIR *open_threads(struct tree *t, pid_t pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    if (!threads && give_back(t)) threads = opendir(path);
    return threads;
}

/* What follows the name, which may be anything, in a stat file; proc(5), from field 3 on. Empty: it is gone */
static const char *read_stat(struct tree *t, const char *path, char *text, size_t size) {
    FILE *f = open_text(t, path);
    size_t n = f ? fread(text, 1, size - 1, f) : 0;
    if (f) fclose(f);
    text[n] = 0;
    const char *name_end = strrchr(text, ')');
    return name_end ? name_end + 1 : "";
}

/* When a process has begun: this and the pid are no other's. 0: it is gone */
static unsigned long long birth(struct tree *t, pid_t pid) {
    char path[64], text[1024];
    unsigned long long born;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    static const char form[] = " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu";
    return sscanf(read_stat(t, path, text, sizeof text), form, &born) == 1 ? born : 0;
}

/* Where pidfds are not to be had, a member is known by its pid and its birth. */
static long signal_member(struct tree *t, const struct member *m, int signal) {
    long r = m->pidfd < 0 ? -ENOSYS : sys(__NR_pidfd_send_signal, m->pidfd, signal, NULL, 0);
    if ((r != -ENOSYS && r != -EPERM) || (m->born == 0 && m->pidfd >= 0)) return r;
    return m->born != 0 && birth(t, m->pid) == m->born ? sys(__NR_kill, m->pid, signal) : -ESRCH;
}

static bool is_known(struct tree *t, pid_t pid) {
    for (size_t i = 0; i < t->count; i++)
        if (t->members[i].pid == pid && signal_member(t, &t->members[i], 0) != -ESRCH) return true;
    return false;
}

static void add(struct tree *t, pid_t pid) {
    if (is_known(t, pid)) return;
    if (t->count == t->room) {
        size_t room = t->room ? t->room * 2 : 64;
        struct member *grown = realloc(t->members, room * sizeof *grown);
        if (!grown) return;
        t->members = grown;
        t->room = room;
    }
    struct member m = {.pid = pid, .pidfd = -1};
    if (!t->poor && t->count < HELD) m.pidfd = (int)sys(__NR_pidfd_open, pid, 0);
    m.born = birth(t, pid);
    if (m.born == 0 && m.pidfd < 0) return;
    if (t->stop) m.refused = signal_member(t, &m, SIGSTOP) == -EPERM;
    t->members[t->count++] = m;
}

static char state_of(struct tree *t, pid_t pid, const char *thread) {
    char path[64], text[1024], state;
    snprintf(path, sizeof path, "/proc/%d/task/%.20s/stat", (int)pid, thread);
    return sscanf(read_stat(t, path, text, sizeof text), " %c", &state) == 1 ? state : 'X';
}

static bool is_moving(struct tree *t, pid_t pid) {
    bool moving = false;
    DIR *threads = open_threads(t, pid);
    if (!threads) return false;
    for (struct dirent *d; !moving && (d = readdir(threads));)
        moving = d->d_name[0] != '.' && strchr("RSD", state_of(t, pid, d->d_name));
    closedir(threads);
    return moving;
}

/* A process that was told to stop may be in the middle of a fork, and the child that comes of it is nobody's whom we know. D
 * is no stop: so a fork waits for locks. But so does a vfork, and as long as its child likes, hence the limit. */
static void await_stop(struct tree *t, pid_t pid) {
    for (long pause = 50000; t->waited < PATIENCE && is_moving(t, pid); pause *= pause < 1000000 ? 2 : 1) {
        nanosleep(&(struct timespec){0, pause}, NULL);
        t->waited += pause;
    }
}

static void add_children_of_thread(struct tree *t, pid_t pid, const char *thread) {
    char path[64];
    int child;
    snprintf(path, sizeof path, "/proc/%d/task/%.20s/children", (int)pid, thread);
    FILE *f = open_text(t, path);
    if (!f) return;
    while (fscanf(f, "%d", &child) == 1) add(t, child);
    fclose(f);
}

/* stops: it was told to stop, and does */
static void add_children(struct tree *t, pid_t pid, bool stops) {
    if (stops) await_stop(t, pid);
    DIR *threads = open_threads(t, pid);
    if (!threads) return;
    for (struct dirent *d; (d = readdir(threads));)
        if (d->d_name[0] != '.') add_children_of_thread(t, pid, d->d_name);
    closedir(threads);
}

static void find(struct tree *t, pid_t root, bool stops) {
    add_children(t, root, stops);
    for (size_t i = 0; i < t->count; i++) add_children(t, t->members[i].pid, t->stop && !t->members[i].refused);
}

static void forget(struct tree *t) {
    for (size_t i = 0; i < t->count; i++)
        if (t->members[i].pidfd >= 0) close(t->members[i].pidfd);
    free(t->members);
    *t = (struct tree){0};
}

static bool has_ended(struct tree *t, pid_t pid) {
    char name[16];
    snprintf(name, sizeof name, "%d", (int)pid);
    return strchr("ZX", state_of(t, pid, name));
}

/* The pid of one that lives on, as we may not kill it; or 0. */
static pid_t kill_all(struct tree *t) {
    pid_t refused = 0;
    for (size_t i = t->count; i-- > 0;) {
        const struct member *m = &t->members[i];
        if (signal_member(t, m, SIGKILL) == -EPERM && !(m->born && has_ended(t, m->pid))) refused = m->pid;
    }
    return refused;
}

pid_t ns_kill_descendants(pid_t pid, int pidfd) {
    struct tree t = {.stop = true};
    if (is_proc_ours(&t)) find(&t, pid, !FAILED(ns_signal(pid, pidfd, SIGSTOP)));
    pid_t refused = kill_all(&t);
    forget(&t);
    return refused;
}

/* tree(handle) -> what the program, which was told to stop, has started up to now */
static int new_tree(lua_State *L) {
    struct process *p = nsL_checkprocess(L);
    struct tree *t = lua_newuserdata(L, sizeof *t);
    *t = (struct tree){0};
    nsL_setclass(L, TREE);
    p->ending = true;
    if (is_proc_ours(t)) find(t, p->s.pid, true);
    return 1;
}

/* tree:kill() -> the pid of one that may not be killed | nothing
 * Who still lives of it, whoever is their parent now, and what they have started since. */
static int tree_kill(lua_State *L) {
    struct tree *t = luaL_checkudata(L, 1, TREE);
    t->stop = true;
    for (size_t i = 0, known = t->count; i < t->count; i++) {
        struct member *m = &t->members[i];
        long r = i < known ? signal_member(t, m, SIGSTOP) : 0;
        if (i < known) m->refused = r == -EPERM;
        if (r != -ESRCH) add_children(t, m->pid, !m->refused); /* the pid of who is gone may be somebody else's now */
    }
    pid_t refused = kill_all(t);
    forget(t);
    if (refused) lua_pushinteger(L, refused);
    return refused ? 1 : 0;
}

static int tree_gc(lua_State *L) {
    forget(luaL_checkudata(L, 1, TREE));
    return 0;
}

static const luaL_Reg methods[] = {{"kill", tree_kill}, {"__gc", tree_gc}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"tree", new_tree}, {NULL, NULL}};

void nsL_open_tree(lua_State *L) {
    nsL_class(L, TREE, methods);
    lua_pop(L, 1);
    nsL_setfuncs(L, functions);
}
