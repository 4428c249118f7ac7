/* The terminal: its window and owner, and the host's own, which is lent to a program and taken back. */
#include "core.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
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

struct terminal {
    int fd;
    pid_t group;
    struct termios modes;
};

/* terminal(fd) -> what restore_terminal wants | nil when it is no terminal of ours */
static int terminal_keep(lua_State *L) {
    struct terminal t = {(int)luaL_checkinteger(L, 1), 0, {0}};
    t.group = tcgetpgrp(t.fd);
    if (t.group < 0 || tcgetattr(t.fd, &t.modes) < 0) return 0;
    memcpy(lua_newuserdata(L, sizeof t), &t, sizeof t);
    return 1;
}

/* Brings the group into the foreground, and the modes back. SIGTTOU is held back, as it would stop a host that is in the
 * background by now. */
static void set_terminal(const struct terminal *t) {
    uint64_t mask, ttou = 1ull << (22 - 1);
    sys(__NR_rt_sigprocmask, 0 /* SIG_BLOCK */, &ttou, &mask, sizeof mask);
    tcsetpgrp(t->fd, t->group);
    tcsetattr(t->fd, TCSADRAIN, &t->modes);
    sys(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, &mask, NULL, sizeof mask);
}

/* restore_terminal(terminal): it is the host's again, as it was. */
static int terminal_restore(lua_State *L) {
    set_terminal(lua_touserdata(L, 1));
    return 0;
}

/* suspend(terminal): the program was stopped from it (Ctrl-Z). The host takes it back and stops, too, with its whole job, as
 * if the key had been meant for it; when it goes on, the program does, and has the terminal if the host has it. */
static int terminal_suspend(lua_State *L) {
    const struct terminal *ours = lua_touserdata(L, 1);
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
