/* The terminal: its window and owner, and the host's own, which is lent to a program and taken back. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "../launcher/sys.h"
#include "open.h"
#include "result.h"

/* resize(fd of a terminal, rows, columns) -> true | nil, message, errno */
static int terminal_resize(lua_State *L) {
    struct winsize size = {.ws_row = (unsigned short)luaL_checkinteger(L, 2),
                           .ws_col = (unsigned short)luaL_checkinteger(L, 3)};
    return nsL_done(L, ioctl((int)luaL_checkinteger(L, 1), TIOCSWINSZ, &size) < 0 ? -errno : 0);
}

/* give(fd of a terminal or a pipe, uid, gid) -> true | nil, message, errno */
static int terminal_give(lua_State *L) {
    uid_t uid = (uid_t)luaL_checknumber(L, 2);
    gid_t gid = (gid_t)luaL_checknumber(L, 3);
    return nsL_done(L, fchown((int)luaL_checkinteger(L, 1), uid, gid) < 0 ? -errno : 0);
}

#define TERMINAL "ns.Terminal"

struct foreground {
    pid_t group; /* 0: not known yet */
    struct termios modes;
};

struct terminal {
    int fd; /* our own: the caller's may be closed before it is wanted again. -1: given back */
    bool lent;
    struct foreground host, guest;
};

static struct terminal *check(lua_State *L) { return luaL_checkudata(L, 1, TERMINAL); }

/* terminal(fd) -> what the functions below want, [true: the host's job is in the foreground, and the program is to have it]
 * | nothing when it is no terminal of ours | nil, message, errno when there is no descriptor for it */
static int terminal_keep(lua_State *L) {
    int fd = (int)luaL_checkinteger(L, 1);
    struct terminal *t = lua_newuserdata(L, sizeof *t);
    *t = (struct terminal){.fd = -1};
    nsL_setclass(L, TERMINAL);
    t->host.group = getpgrp();
    pid_t foreground = tcgetpgrp(fd);
    if (foreground < 0 || tcgetattr(fd, &t->host.modes) < 0) return 0;
    t->lent = foreground == t->host.group;
    t->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (t->fd < 0) return nsL_failed(L, errno);
    lua_pushboolean(L, t->lent);
    return 2;
}

static int terminal_gc(lua_State *L) {
    struct terminal *t = check(L);
    if (t->fd >= 0) close(t->fd);
    t->fd = -1;
    return 0;
}

/* Brings the group into the foreground and the modes back, and lets through what output was held back. At once: to wait until
 * all is written (TCSADRAIN) would be to wait for a program that writes to a stopped terminal. SIGTTOU is held back, as it would
 * stop a host that is in the background by now. */
static void set_foreground(int fd, const struct foreground *wanted) {
    uint64_t mask, ttou = 1ull << (22 - 1);
    sys(__NR_rt_sigprocmask, 0 /* SIG_BLOCK */, &ttou, &mask, sizeof mask);
    tcsetpgrp(fd, wanted->group);
    tcflow(fd, TCOON);
    tcsetattr(fd, TCSANOW, &wanted->modes);
    sys(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, &mask, NULL, sizeof mask);
}

/* From the program to the host. Not where the shell that we are a job of has it: it has taken it back, and we are in the
 * background. */
static void take_back(struct terminal *t) {
    pid_t now = tcgetpgrp(t->fd);
    if (!t->lent || now < 0) return;
    t->lent = false;
    if (now == getpgid(getppid()) && now != t->host.group) return;
    t->guest.group = now;
    tcgetattr(t->fd, &t->guest.modes);
    set_foreground(t->fd, &t->host);
}

/* lend(terminal, pid of the program): a host whose job has come into the foreground hands it on to the program's. One in the
 * background leaves it where it is. */
static int terminal_lend(lua_State *L) {
    struct terminal *t = check(L);
    if (t->fd < 0 || tcgetpgrp(t->fd) != t->host.group) return 0;
    tcgetattr(t->fd, &t->host.modes);
    if (!t->guest.group) t->guest = (struct foreground){(pid_t)luaL_checkinteger(L, 2), t->host.modes};
    set_foreground(t->fd, &t->guest);
    t->lent = true;
    return 0;
}

/* restore_terminal(terminal): it is the host's again, as it was. */
static int terminal_restore(lua_State *L) {
    struct terminal *t = check(L);
    if (t->fd >= 0) take_back(t);
    return terminal_gc(L);
}

/* raw(terminal): each key comes at once and as it is */
static int terminal_raw(lua_State *L) {
    const struct terminal *t = check(L);
    struct termios raw = t->host.modes;
    cfmakeraw(&raw);
    return nsL_done(L, tcsetattr(t->fd, TCSADRAIN, &raw) < 0 ? -errno : 0);
}

/* cook(terminal): the modes are as they were */
static int terminal_cook(lua_State *L) {
    const struct terminal *t = check(L);
    return nsL_done(L, tcsetattr(t->fd, TCSADRAIN, &t->host.modes) < 0 ? -errno : 0);
}

/* window(fd of a terminal) -> rows, columns | nothing */
static int terminal_window(lua_State *L) {
    struct winsize size;
    if (ioctl((int)luaL_checkinteger(L, 1), TIOCGWINSZ, &size) < 0 || size.ws_row == 0 || size.ws_col == 0) return 0;
    lua_pushinteger(L, size.ws_row);
    lua_pushinteger(L, size.ws_col);
    return 2;
}

/* suspend(terminal, pid, signal): the program was stopped by it, from the terminal (Ctrl-Z, or it has read in the background).
 * The host takes the terminal back and stops, too, with its whole job, as if the signal had been meant for it; when it goes on,
 * the program does, and has the terminal if the host has it. A host that is in the foreground by now has nothing to wait for. */
static int terminal_suspend(lua_State *L) {
    struct terminal *t = check(L);
    pid_t pid = (pid_t)luaL_checkinteger(L, 2);
    if (tcgetpgrp(t->fd) != t->host.group) {
        take_back(t);
        kill(0, (int)luaL_checkinteger(L, 3));
    }
    terminal_lend(L);
    pid_t group = t->guest.group ? t->guest.group : pid;
    if (group > 1) kill(-group, SIGCONT);
    return 0;
}

static const luaL_Reg functions[] = {
    {"resize", terminal_resize},   {"give", terminal_give},
    {"terminal", terminal_keep},   {"restore_terminal", terminal_restore},
    {"suspend", terminal_suspend}, {"lend", terminal_lend},
    {"raw", terminal_raw},         {"cook", terminal_cook},
    {"window", terminal_window},   {NULL, NULL},
};

static const luaL_Reg methods[] = {{"__gc", terminal_gc}, {NULL, NULL}};

void nsL_open_terminal(lua_State *L) {
    nsL_class(L, TERMINAL, methods);
    lua_pop(L, 1);
    nsL_setfuncs(L, functions);
}
