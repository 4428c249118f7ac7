/* The ops of sessions, jobs and terminals. */
#include <asm/ioctls.h>
#include <linux/fcntl.h>

#include "fds.h"
#include "message.h"
#include "ops.h"
#include "sys.h"

long op_setsid(struct player *p, const struct step *s) {
    (void)p, (void)s;
    long r = sys(__NR_setsid);
    return FAILED(r) ? r : 0;
}

/* Makes a process group for the program: a job, for job control */
long op_setpgid(struct player *p, const struct step *s) {
    (void)p, (void)s;
    return sys(__NR_setpgid, 0, 0);
}

/* fd: a terminal. Brings our process group, whose leader we are, into its foreground. */
long op_foreground(struct player *p, const struct step *s) {
    (void)p;
    int group = (int)sys(__NR_getpid);
    return sys(__NR_ioctl, s->fd, TIOCSPGRP, &group);
}

/* fd: a terminal, which becomes the controlling terminal of our session */
long op_controlling(struct player *p, const struct step *s) {
    (void)p;
    return sys(__NR_ioctl, s->fd, TIOCSCTTY, 0);
}

/* Of a new terminal: `to` becomes the end that is the program's, and the host gets the other one. */
static long hand_out(struct player *p, long master, const struct step *s) {
    struct { /* as struct winsize */
        uint16_t rows, columns, width, height;
    } size = {(uint16_t)s->value, (uint16_t)s->limit, 0, 0};
    struct record r = {LAUNCHER_PTY, 0};
    int unlock = 0, ours = (int)master;
    long done = sys(__NR_ioctl, master, TIOCSPTLCK, &unlock);
    if (!FAILED(done)) done = sys(__NR_ioctl, master, TIOCSWINSZ, &size);
    long slave = FAILED(done) ? done : sys(__NR_ioctl, master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (FAILED(slave)) return slave;
    done = send_message(p->socket, &r, sizeof r, &ours, 1);
    if (!FAILED(done)) done = dup_to(p, (int)slave, s->to, O_CLOEXEC);
    if (slave != s->to) sys(__NR_close, slave);
    return FAILED(done) ? done : 0;
}

/* path: the ptmx of the devpts that the terminal is to have its name in; value, limit: its rows and columns; to */
long op_pty(struct player *p, const struct step *s) {
    long master = sys(__NR_openat, AT_FDCWD, plan_string(p, s->path), O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (FAILED(master)) return master;
    long r = hand_out(p, master, s);
    sys(__NR_close, master);
    return r;
}
