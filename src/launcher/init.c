/* Process 1 of a pid namespace: starts the program as its child, reaps what is left to it, hands signals on, and ends,
 * and with it everything in the namespace, when the program or the host ends, or the host says so (it shuts its end of
 * the socket). Without such a namespace it is a subreaper, to which all that the program has started comes in the end,
 * and ends it itself.
 *
 * What it tells the host: {step, 0} with the number of this step when the program runs, and at its end {INIT_STATUS,
 * status} with the status of wait4(2), then {INIT_MAXRSS, KiB}. It has nothing open but the socket and the descriptor
 * that its signals come from. A program with the right to may read its memory: so before the first instruction of the
 * program all is wiped that the program does not have itself. */
#include <asm/ioctls.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/signalfd.h>
#include <linux/sockios.h>
#include <linux/wait.h>
#include <stdbool.h>
#include <stddef.h>

#include "children.h"
#include "fds.h"
#include "init.h"
#include "message.h"
#include "net.h"
#include "numbers.h"
#include "ops.h"
#include "sys.h"

_Noreturn void exit_init(int code) {
    for (;;) sys(__NR_exit_group, code);
}

/* ---- what is left of the steps that were played ---- */

static void wipe(void *from, const void *to) {
    for (volatile uint64_t *at = from; at < (volatile const uint64_t *)to; at++) *at = 0;
}

/* No op before had more on the stack than this. */
__attribute__((noinline)) static void wipe_stack(void) {
    uint64_t old[2048];
    wipe(old, old + 2048);
}

/* Wipes all of the plan but what the steps from `next` on need. */
static void wipe_plan(struct plan *plan, struct step *next) {
    char *bytes = (char *)plan;
    struct step *first = (struct step *)(bytes + plan->steps), *after = first + plan->count;
    uint32_t kept = plan->size & ~7u;
    for (const struct step *s = next; s < after; s++) {
        const uint32_t offsets[] = {s->path, s->source, s->type, s->data, s->paths, s->argv, s->env, s->options};
        for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++)
            if (offsets[i] && offsets[i] < kept) kept = offsets[i];
    }
    wipe(first, next);
    wipe(after, bytes + kept);
}

/* ---- its life ---- */

static void tell(const struct player *p, uint32_t what, int status) {
    struct record r = {what, status};
    sys(__NR_sendto, p->socket, &r, sizeof r, MSG_NOSIGNAL);
}

void tell_stop(int socket, int status) {
    struct record r = {INIT_STOPPED, status};
    int unread = 0;
    if (FAILED(sys(__NR_ioctl, socket, SIOCOUTQ, &unread)) || unread > 2048) return;
    sys(__NR_sendto, socket, &r, sizeof r, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int exit_code(int status) { return status & 0x7f ? 128 + (status & 0x7f) : status >> 8; }

/* Ends what is left of the program's, and us; where the host does not hear, our own end says as much as it can. */
_Noreturn static void end(const struct player *p, uint32_t how, int status) {
    if (how & STEP_ENDS_ALL) {
        uint32_t left = end_children(p->signals);
        if (left) tell(p, INIT_LEFT, (int)left);
    }
    exit_init(exit_code(status));
}

/* Reaps what has ended; tells, and ends, if the program is among them, which is the first of our children. Is there
 * perhaps more to reap? */
static bool reap(struct player *p, long program, uint32_t how) {
    for (int i = 0; i < TURN; i++) {
        int status, stops = how & STEP_TELLS_STOPS ? WUNTRACED : 0;
        struct usage usage;
        long pid = sys(__NR_wait4, -1, &status, WNOHANG | __WALL | stops, &usage);
        if (pid <= 0 && pid != -EINTR) return false;
        if (pid != program) continue;
        if ((status & 0xff) == 0x7f) {
            tell_stop(p->socket, status);
            continue;
        }
        tell(p, INIT_STATUS, status);
        tell(p, INIT_MAXRSS, (int)usage.maxrss);
        end(p, how, status);
    }
    return true;
}

/* What poll(2) would say of a socket. */
static short state_of(int socket) {
    char byte;
    long n = sys(__NR_recvfrom, socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n != 0) return n > 0 ? POLLIN : 0;
    return FAILED(sys(__NR_sendto, socket, &byte, 0, MSG_NOSIGNAL | MSG_DONTWAIT)) ? POLLHUP : POLLRDHUP;
}

void await_work(struct pollfd *polls, uint32_t count, const long *timeout) {
    const long soon[2] = {0, 20000000};
    long r = sys(__NR_ppoll, polls, count, timeout, 0, 8);
    if (!FAILED(r) || r == -EINTR) return;
    sys(__NR_ppoll, 0, 0, timeout ? timeout : soon, 0, 8);
    polls[0].revents = POLLIN;
    for (uint32_t i = 1; i < count; i++) polls[i].revents = polls[i].fd < 0 ? 0 : state_of(polls[i].fd);
}

/* Was it sent by somebody outside? He has no pid in here. Without a namespace all have one, and the program alone is
 * not heard: it signals its group, in which we may be. The terminal's signals say SI_KERNEL, and the program has had
 * them, too; only kill(2) can say SI_USER. Of a real-time signal the kernel forgets the sender where it finds no room
 * for it, which a program can bring about: those the host sends over the socket. */
static bool is_from_outside(const struct signalfd_siginfo *info, long program, uint32_t how) {
    return info->ssi_signo < SIGRTMIN && info->ssi_code == SI_USER &&
           (how & STEP_ENDS_ALL ? info->ssi_pid != (uint32_t)program : info->ssi_pid == 0);
}

/* Who sends one after the other from inside must not keep us from reaping: so many at a time. */
static void hand_on(int signals, long program, uint32_t how) {
    struct signalfd_siginfo infos[TURN];
    long size = sys(__NR_read, signals, infos, sizeof infos);
    for (long i = 0; i * (long)sizeof infos[0] < size; i++)
        if (infos[i].ssi_signo != SIGCHLD && is_from_outside(&infos[i], program, how))
            sys(__NR_kill, program, infos[i].ssi_signo);
}

/* The host is gone, or wants the end. A program that is not ours to kill is left, or dies with us where we are process
 * 1. */
static void end_program(const struct player *p, long program, uint32_t how, bool gone) {
    long r = sys(__NR_kill, program, SIGKILL);
    if (gone && !(how & STEP_ENDS_ALL)) exit_init(0);
    if (!FAILED(r)) return;
    if (!(how & STEP_ENDS_ALL)) tell(p, INIT_STATUS, SIGKILL);
    end(p, how, SIGKILL);
}

/* What the host asks for: a signal for the program, or a socket. At its end of the socket there is nothing to read. */
static void take_request(int socket, long program) {
    struct record r = {0, 0};
    int fd, count;
    long n = receive_message(socket, &r, sizeof r, &fd, 1, &count, MSG_DONTWAIT);
    if (n == sizeof r && r.step == REQUEST_SIGNAL) sys(__NR_kill, program, r.error);
    if (n == sizeof r && r.step == REQUEST_SOCKET && count == 1) give_socket((uint32_t)r.error, fd);
    if (count == 1) sys(__NR_close, fd);
}

_Noreturn static void serve(struct player *p, long program, uint32_t how) {
    int socket = p->socket;
    for (;;) {
        struct pollfd polls[] = {{p->signals, POLLIN, 0}, {socket, POLLIN | POLLRDHUP, 0}};
        long none[2] = {0, 0}, *timeout = reap(p, program, how) ? none : 0;
        await_work(polls, 2, timeout);
        if (polls[1].revents & POLLIN) take_request(socket, program);
        if (polls[1].revents & ~POLLIN) {
            bool gone = polls[1].revents & (POLLHUP | POLLERR);
            socket = -1;
            if (!gone || !(how & STEP_OUTLIVES)) end_program(p, program, how, gone);
        }
        if (polls[0].revents) hand_on(p->signals, program, how);
    }
}

/* The descriptor that the init's signals come from, while there is sure to be room for one. */
long op_signalfd(struct player *p, const struct step *s) {
    (void)s;
    uint64_t all = ~0ull;
    long fd = sys(__NR_signalfd4, -1, &all, sizeof all, O_CLOEXEC | O_NONBLOCK);
    if (FAILED(fd)) return fd;
    p->signals = (int)fd;
    return 0;
}

void become_init(struct player *p, const struct step *s) {
    wipe_plan(p->plan, (struct step *)s + 1);
    wipe_stack();
    sys(__NR_prctl, PR_SET_NAME, "ns-init", 0, 0, 0);
    /* What it holds is not for the program, which may have the same id. Before there is one: that gets its flag by
     * exec. */
    sys(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static void become_subreaper(void) {
    sys(__NR_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    sys(__NR_prctl, PR_SET_PDEATHSIG, SIGCONT, 0, 0, 0); /* it has things to do then, also if somebody has stopped it */
}

/* ---- the init of a copy of the host ---- */

_Noreturn void ns_init(const int numbers[INIT_NUMBERS]) {
    struct player p = {.socket = numbers[INIT_SOCKET], .signals = numbers[INIT_SIGNALS]};
    sys(__NR_prctl, PR_SET_NAME, "ns-init", 0, 0, 0);
    sys(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
    close_all_but(p.socket, p.signals);
    sys(__NR_chdir, "/");
    sys(__NR_kill, numbers[INIT_PROGRAM], SIGCONT);
    serve(&p, numbers[INIT_PROGRAM], (uint32_t)numbers[INIT_HOW]);
}

static long execute_anew(const struct player *p, const struct step *s, long program) {
    const long numbers[INIT_NUMBERS] = {p->socket, p->signals, program, (long)s->how};
    char digits[INIT_NUMBERS][12], name[] = "ns", *argv[INIT_NUMBERS + 2] = {name}, *env[] = {0};
    for (int i = 0; i < INIT_NUMBERS; i++) {
        char *digit = digits[i] + sizeof digits[i] - 1;
        *digit = 0;
        for (uint32_t n = (uint32_t)numbers[i], tenth; n > 0; n = tenth) {
            tenth = (uint32_t)((uint64_t)n * 0xcccccccdu >> 35); /* n / 10, for which arm would call a library */
            *--digit = (char)('0' + (n - 10 * tenth));
        }
        argv[i + 1] = digit;
    }
    long r = sys(__NR_fcntl, p->socket, F_SETFD, 0);
    if (!FAILED(r)) r = sys(__NR_fcntl, p->signals, F_SETFD, 0);
    return FAILED(r) ? r : sys(__NR_execveat, s->fd, "", argv, env, AT_EMPTY_PATH);
}

/* The child goes on when its init is there, and says so for it. It ends with it: the parent that it has is still the
 * one that it had. All signals are held back; SIGCONT is what it waits for. */
static long await_init(struct player *p, long parent, uint32_t how) {
    uint64_t go = 1ull << (SIGCONT - 1);
    if (how & STEP_ENDS_ALL) sys(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (how & STEP_ENDS_ALL && sys(__NR_getppid) != parent) exit_init(127);
    while (sys(__NR_rt_sigtimedwait, &go, 0, 0, sizeof go) == -EINTR) continue;
    p->init = p->plan->current;
    return 0;
}

static long leave_anew(struct player *p, const struct step *s) {
    long parent = sys(__NR_getpid);
    if (s->how & STEP_ENDS_ALL) become_subreaper();
    long program = sys(__NR_clone, SIGCHLD, 0, 0, 0, 0);
    if (program == 0) return await_init(p, parent, s->how);
    return FAILED(program) ? program : execute_anew(p, s, program);
}

/* ---- the init that was the launcher ---- */

/* The child goes on with the plan, whose next steps are its last; its parent never comes back. CLONE_VFORK: it wakes
 * when the child has executed the program, or is dead. Until then it holds what the program is given, and that alone.
 * how: OUTLIVES, TELLS_STOPS, ENDS_ALL; ANEW, with fd: a launcher */
long op_init(struct player *p, const struct step *s) {
    uint32_t step = p->plan->current, how = s->how;
    if (how & STEP_ANEW) return leave_anew(p, s);
    become_init(p, s);
    if (how & STEP_ENDS_ALL) become_subreaper();
    p->plan->current = step + 1; /* if something hangs from here on, it is what the child plays */
    long program = sys(__NR_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);
    if (program == 0) return how & STEP_ENDS_ALL ? sys(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) : 0;
    p->plan->current = step;
    if (FAILED(program)) return program;
    close_all_but(p->socket, p->signals);
    sys(__NR_chdir, "/");
    ns_report(p, 0);
    sys(__NR_munmap, p->plan, p->mapped);
    serve(p, program, how);
}
