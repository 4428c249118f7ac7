/* Process 1 of a pid namespace: starts the program as its child, reaps what is left to it, hands signals on, and ends, and
 * with it everything in the namespace, when the program or the host ends.
 *
 * What it tells the host: {step, 0} with the number of this step when the program runs, and at its end {INIT_STATUS, status}
 * with the status of wait4(2), then {INIT_MAXRSS, KiB}. It keeps nothing but the socket and the descriptor that its signals come from. */
#include <asm/ioctls.h>
#include <linux/close_range.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/signalfd.h>
#include <linux/sockios.h>
#include <stdbool.h>
#include <stddef.h>

#include "launcher.h"
#include "ops.h"
#include "sys.h"

#define SIGNAL_CHLD 17
#define SIGNAL_KERNEL 0x80 /* si_code of what the terminal sends: the program has had it, too */
#define MSG_NOSIGNAL 0x4000
#define WNOHANG 1
#define WUNTRACED 2
#define __WALL 0x40000000

/* getrusage(2)'s struct rusage; its header in the kernel does not go together with that of the C library. */
struct usage {
    long times[4], maxrss, rest[13];
};

_Noreturn static void leave(int code) {
    for (;;) sys(__NR_exit_group, code);
}

static void close_from(unsigned fd, unsigned last) {
    if (fd > last || !FAILED(sys(__NR_close_range, fd, last, 0))) return;
    for (; fd <= last && fd < 4096; fd++) sys(__NR_close, fd); /* before 5.9, and where a filter refuses it */
}

static void close_all_but(int a, int b) {
    unsigned low = (unsigned)(a < b ? a : b), high = (unsigned)(a < b ? b : a);
    if (low > 0) close_from(0, low - 1);
    close_from(low + 1, high - 1);
    close_from(high + 1, ~0u);
}

/* A stop is told if few that were told are still unread: a program that stops again and again, before a host that only waits for
 * its end, must leave room for the word of that end. */
static void tell(const struct player *p, uint32_t what, int status) {
    struct record r = {what, status};
    int unread = 0;
    if (what == INIT_STOPPED && (FAILED(sys(__NR_ioctl, p->socket, SIOCOUTQ, &unread)) || unread > 2048)) return;
    sys(__NR_sendto, p->socket, &r, sizeof r, MSG_NOSIGNAL);
}

/* Reaps all that have ended; tells and leaves if the program is among them. Where the host does not hear, our own end says as
 * much as it can. */
static void reap(struct player *p, long program, uint32_t flags) {
    for (;;) {
        int status, stops = flags & INIT_TELLS_STOPS ? WUNTRACED : 0;
        struct usage usage;
        long pid = sys(__NR_wait4, -1, &status, WNOHANG | __WALL | stops, &usage);
        if (pid == -EINTR) continue;
        if (pid <= 0) return;
        if (pid != program) continue;
        bool stopped = (status & 0xff) == 0x7f;
        tell(p, stopped ? INIT_STOPPED : INIT_STATUS, status);
        if (stopped) continue;
        tell(p, INIT_MAXRSS, (int)usage.maxrss);
        leave(status & 0x7f ? 128 + (status & 0x7f) : status >> 8);
    }
}

static void hand_on(int signals, long program) {
    struct signalfd_siginfo info;
    while (sys(__NR_read, signals, &info, sizeof info) == sizeof info)
        if (info.ssi_signo != SIGNAL_CHLD && info.ssi_code != SIGNAL_KERNEL) sys(__NR_kill, program, info.ssi_signo);
}

_Noreturn static void serve(struct player *p, int signals, long program, uint32_t flags) {
    for (;;) {
        struct pollfd polls[] = {{signals, POLLIN, 0}, {flags & INIT_DETACHED ? -1 : p->socket, 0, 0}};
        reap(p, program, flags);
        long r = sys(__NR_ppoll, polls, 2, 0, 0, 8);
        if (FAILED(r)) continue;
        if (polls[1].revents) leave(0); /* the host is gone */
        hand_on(signals, program);
    }
}

/* The child goes on with the plan, whose next steps are its last; its parent never comes back. CLONE_VFORK: it wakes when the
 * child has executed the program, or is dead. flags: INIT_* */
long op_init(struct player *p, const struct step *s) {
    uint32_t step = p->plan->current, flags = (uint32_t)s->flags;
    uint64_t all = ~0ull;
    long signals = sys(__NR_signalfd4, -1, &all, sizeof all, O_CLOEXEC | O_NONBLOCK);
    if (FAILED(signals)) return signals;
    /* What it holds is not for the program, which may have the same id. Before there is one: that gets its flag by exec. */
    sys(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
    p->plan->current = step + 1; /* if something hangs from here on, it is what the child plays */
    long program = sys(__NR_clone, CLONE_VFORK | SIGNAL_CHLD, 0, 0, 0, 0);
    if (program == 0) return 0;
    p->plan->current = step;
    if (FAILED(program)) return program;
    sys(__NR_prctl, PR_SET_NAME, "ns-init", 0, 0, 0);
    close_all_but(p->socket, (int)signals);
    sys(__NR_chdir, "/");
    ns_report(p, 0);
    sys(__NR_munmap, p->plan, p->plan->size);
    serve(p, (int)signals, program, flags);
}
