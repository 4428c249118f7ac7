/* The terminal: its window and owner, and the host's own, which is lent to a program and taken back. */
#include "core.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "../launcher/sys.h"

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

struct terminal {
    int fd; /* our own: the caller's may be closed before it is wanted again. -1: given back */
    pid_t group;
    struct termios modes;
};

static struct terminal *check(lua_State *L) { return luaL_checkudata(L, 1, TERMINAL); }

/* terminal(fd) -> what restore_terminal wants | nil when it is no terminal of ours, or there is no descriptor for it */
static int terminal_keep(lua_State *L) {
    int fd = (int)luaL_checkinteger(L, 1);
    struct terminal *t = lua_newuserdata(L, sizeof *t);
    *t = (struct terminal){.fd = -1};
    nsL_setclass(L, TERMINAL);
    t->group = tcgetpgrp(fd);
    if (t->group < 0 || tcgetattr(fd, &t->modes) < 0) return 0;
    t->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return t->fd >= 0;
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
static void set_terminal(const struct terminal *t) {
    uint64_t mask, ttou = 1ull << (22 - 1);
    sys(__NR_rt_sigprocmask, 0 /* SIG_BLOCK */, &ttou, &mask, sizeof mask);
    tcsetpgrp(t->fd, t->group);
    tcflow(t->fd, TCOON);
    tcsetattr(t->fd, TCSANOW, &t->modes);
    sys(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, &mask, NULL, sizeof mask);
}

/* restore_terminal(terminal): it is the host's again, as it was. */
static int terminal_restore(lua_State *L) {
    const struct terminal *t = check(L);
    if (t->fd >= 0) set_terminal(t);
    return terminal_gc(L);
}

/* suspend(terminal): the program was stopped from it (Ctrl-Z). The host takes it back and stops, too, with its whole job, as
 * if the key had been meant for it; when it goes on, the program does, and has the terminal if the host has it. */
static int terminal_suspend(lua_State *L) {
    const struct terminal *ours = check(L);
    struct terminal theirs = {ours->fd, tcgetpgrp(ours->fd), ours->modes};
    tcgetattr(theirs.fd, &theirs.modes);
    set_terminal(ours);
    kill(0, SIGTSTP);
    if (tcgetpgrp(ours->fd) == ours->group) set_terminal(&theirs);
    if (theirs.group > 1) kill(-theirs.group, SIGCONT);
    return 0;
}

const luaL_Reg ns_terminal_functions[] = {
    {"resize", terminal_resize},   {"give", terminal_give},
    {"terminal", terminal_keep},   {"restore_terminal", terminal_restore},
    {"suspend", terminal_suspend}, {NULL, NULL},
};

static const luaL_Reg methods[] = {{"__gc", terminal_gc}, {NULL, NULL}};

void nsL_open_terminal(lua_State *L) {
    nsL_class(L, TERMINAL, methods);
    lua_pop(L, 1);
}
