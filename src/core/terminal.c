/* Terminals: their window size and owner; and the host's own terminal, which is lent to a program (`tty`) and taken
 * back. */
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
    int fd;                        /* a duplicate of the caller's, which may be closed meanwhile; -1: given back */
    bool lent;                     /* the program has it */
    struct foreground host, guest; /* guest: the program's job */
};

static struct terminal *check(lua_State *L) { return luaL_checkudata(L, 1, TERMINAL); }

/* terminal(fd) -> an object for the functions below, lent | nothing, if fd is not our controlling terminal | nil,
 * message, errno. lent: the host's job is in the foreground, so the program is to have the terminal */
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

/* Brings a group into the foreground and sets its modes, and resumes output that was suspended (Ctrl-S). With TCSANOW:
 * TCSADRAIN waits until all output is written, which may be never. SIGTTOU is blocked, as it would stop a host in the
 * background. */
static void set_foreground(int fd, const struct foreground *wanted) {
    uint64_t mask, ttou = 1ull << (22 - 1);
    sys(__NR_rt_sigprocmask, 0 /* SIG_BLOCK */, &ttou, &mask, sizeof mask);
    tcsetpgrp(fd, wanted->group);
    tcflow(fd, TCOON);
    tcsetattr(fd, TCSANOW, &wanted->modes);
    sys(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, &mask, NULL, sizeof mask);
}

/* Takes the terminal back from the program. If the shell that the host is a job of has it, that has taken it already,
 * as the host went into the background: then it is left there. */
static void take_back(struct terminal *t) {
    pid_t now = tcgetpgrp(t->fd);
    if (!t->lent || now < 0) return;
    t->lent = false;
    if (now == getpgid(getppid()) && now != t->host.group) return;
    t->guest.group = now;
    tcgetattr(t->fd, &t->guest.modes);
    set_foreground(t->fd, &t->host);
}

/* lend(terminal, pid of the program): gives the foreground to the program's job, if the host's job has it. */
static int terminal_lend(lua_State *L) {
    struct terminal *t = check(L);
    if (t->fd < 0 || tcgetpgrp(t->fd) != t->host.group) return 0;
    tcgetattr(t->fd, &t->host.modes);
    if (!t->guest.group) t->guest = (struct foreground){(pid_t)luaL_checkinteger(L, 2), t->host.modes};
    set_foreground(t->fd, &t->guest);
    t->lent = true;
    return 0;
}

/* restore_terminal(terminal): takes it back for the host, with the host's modes, and closes our descriptor. */
static int terminal_restore(lua_State *L) {
    struct terminal *t = check(L);
    if (t->fd >= 0) take_back(t);
    return terminal_gc(L);
}

/* raw(terminal): raw mode, as cfmakeraw(3) has it: each key can be read at once */
static int terminal_raw(lua_State *L) {
    const struct terminal *t = check(L);
    struct termios raw = t->host.modes;
    cfmakeraw(&raw);
    return nsL_done(L, tcsetattr(t->fd, TCSADRAIN, &raw) < 0 ? -errno : 0);
}

/* cook(terminal): ends raw mode */
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

/* suspend(terminal, pid, signal): for a program that this signal has stopped (Ctrl-Z, or it has read in the
 * background). The host takes the terminal back and sends the signal to its own job: so it stops, too, and its shell
 * takes over. When the shell continues it, it continues the program, and lends the terminal if it is in the foreground.
 * A host that is in the foreground already does not stop. */
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
