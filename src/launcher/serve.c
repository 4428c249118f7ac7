/* Process 1 of a living box. It has no program of its own: the host asks it for one job after the other, and for each it
 * makes a child, which plays the job's plan (plan.h). When a job ends, it writes the usage and the status to that job's
 * second socket; these few records always fit into the socket's buffer. It also reaps the orphans that jobs leave behind.
 *
 * The box ends when the host closes its end of the box's socket, or with the job that has JOB_ENDS_BOX. */
#include <asm/resource.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/signalfd.h>
#include <linux/wait.h>
#include <stdbool.h>
#include <stddef.h>

#include "begin.h"
#include "fds.h"
#include "init.h"
#include "message.h"
#include "numbers.h"
#include "ops.h"
#include "sys.h"

/* A job that runs; pid is 0 in a free place of the table. */
struct job {
    long pid;
    int socket;                  /* its second one, through which we tell of it */
    uint32_t how;                /* JOB_* */
    struct beginning *beginning; /* until we know that it has executed its program */
};

struct box {
    int socket, signals; /* to the host; a signalfd */
    uint32_t room;       /* places in jobs */
    struct job *jobs;
    job_player *play_job;
    struct beginning *spare; /* memory for the next one */
};

/* The number of a free place, or -errno. */
static long find_place(struct box *b) {
    for (uint32_t i = 0; i < b->room; i++)
        if (!b->jobs[i].pid) return (long)i;
    uint32_t room = b->room ? 2 * b->room : 64;
    long size = (long)(room * sizeof *b->jobs);
    long at = sys(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (FAILED(at)) return at;
    struct job *jobs = (struct job *)at;
    uint32_t place = b->room;
    for (uint32_t i = 0; i < b->room; i++) jobs[i] = b->jobs[i];
    if (b->room) sys(__NR_munmap, b->jobs, b->room * sizeof *b->jobs);
    b->jobs = jobs, b->room = room;
    return (long)place;
}

static struct job *find_job(const struct box *b, long pid) {
    for (uint32_t i = 0; i < b->room; i++)
        if (b->jobs[i].pid == pid) return &b->jobs[i];
    return 0;
}

static void refuse_job(int socket, long error) {
    struct record r = {INIT_JOB, (int32_t)-error};
    send_message(socket, &r, sizeof r, 0, 0);
}

/* sockets: those of the job. The first is its launcher's; we close our copy, so that its end-of-file tells the host that
 * exec has succeeded. A child whose pidfd the host does not get (ETOOMANYREFS, if a program keeps descriptors in flight; EPIPE,
 * if the host has given up) is nobody's, and ended at once. */
static void start_job(struct box *b, uint32_t how, const int sockets[2]) {
    int pidfd = -1;
    struct beginning *beginning = 0;
    long place = find_place(b);
    long pid = FAILED(place) ? place : begin_job(&beginning, &b->spare, b->play_job, sockets[0], how, &pidfd);
    sys(__NR_close, sockets[0]);
    if (FAILED(pid)) {
        refuse_job(sockets[1], pid);
        if (beginning) end_beginning(beginning, &b->spare);
        sys(__NR_close, sockets[1]);
        return;
    }
    struct record made = {INIT_JOB, beginning->place};
    long r = send_message(sockets[1], &made, sizeof made, &pidfd, 1);
    sys(__NR_close, pidfd);
    b->jobs[place] = (struct job){pid, sockets[1], how, beginning};
    if (!FAILED(r)) return;
    sys(__NR_kill, pid, SIGKILL);
    refuse_job(sockets[1], r);
}

/* The memory of those that have executed their programs is free. */
static void end_beginnings(struct box *b) {
    for (uint32_t i = 0; i < b->room; i++) {
        struct job *job = &b->jobs[i];
        if (!job->beginning || job->beginning->is_inside) continue;
        end_beginning(job->beginning, &b->spare);
        job->beginning = 0;
    }
}

/* Takes one message of the host's. The descriptors of a message that is no request are closed, and by that end-of-file its
 * sender learns that it was refused. */
static void take_request(struct box *b) {
    struct record r = {0, 0};
    int fds[2], count;
    long n = receive_message(b->socket, &r, sizeof r, fds, 2, &count, MSG_DONTWAIT);
    if (n == 0) exit_init(0);
    end_beginnings(b);
    if (n == sizeof r && r.step == REQUEST_JOB && count == 2) {
        start_job(b, (uint32_t)r.error, fds);
        return;
    }
    if (n == sizeof r && r.step == REQUEST_SIGNAL) sys(__NR_kill, -1, r.error);
    for (int i = 0; i < count; i++) sys(__NR_close, fds[i]);
}

static void tell_end(const struct job *job, int status, const struct usage *usage) {
    struct {
        struct record what;
        struct usage usage;
        struct record end;
    } told = {{INIT_USAGE, sizeof *usage}, *usage, {INIT_STATUS, status}};
    sys(__NR_sendto, job->socket, &told, sizeof told, MSG_NOSIGNAL | MSG_DONTWAIT);
    sys(__NR_close, job->socket);
}

/* Reaps up to TURN children, and tells of those that are jobs. Returns whether there may be more. */
static bool reap(struct box *b) {
    for (int i = 0; i < TURN; i++) {
        int status;
        struct usage usage;
        long pid = sys(__NR_wait4, -1, &status, WNOHANG | WUNTRACED | __WALL, &usage);
        if (pid <= 0 && pid != -EINTR) return false;
        struct job *job = pid > 0 ? find_job(b, pid) : 0;
        if (!job) continue;
        if ((status & 0xff) == 0x7f) {
            if (job->how & JOB_TELLS_STOPS) tell_stop(job->socket, status);
            continue;
        }
        tell_end(job, status, &usage);
        if (job->how & JOB_ENDS_BOX) exit_init(exit_code(status));
        if (job->beginning) end_beginning(job->beginning, &b->spare);
        *job = (struct job){0};
    }
    return true;
}

/* Signals that a process outside sends to the init are handed on to the job with JOB_ENDS_BOX. Such a sender has no pid in
 * here, so ssi_pid is 0. */
static void hand_on(const struct box *b) {
    struct signalfd_siginfo infos[TURN];
    long size = sys(__NR_read, b->signals, infos, sizeof infos);
    for (long i = 0; i * (long)sizeof infos[0] < size; i++)
        for (uint32_t j = 0; infos[i].ssi_signo != SIGCHLD && infos[i].ssi_signo < SIGRTMIN &&
                             infos[i].ssi_code == SI_USER && j < b->room;
             j++)
            if (b->jobs[j].pid && b->jobs[j].how & JOB_ENDS_BOX && infos[i].ssi_pid == 0)
                sys(__NR_kill, b->jobs[j].pid, infos[i].ssi_signo);
}

_Noreturn static void serve(struct box *b) {
    for (bool more = true;;) {
        struct pollfd polls[] = {{b->signals, POLLIN, 0}, {b->socket, POLLIN, 0}};
        long none[2] = {0, 0}, *timeout = more ? none : 0;
        await_work(polls, timeout);
        if (polls[0].revents) hand_on(b);
        if (polls[0].revents || more) more = reap(b);
        if (polls[1].revents) take_request(b);
    }
}

/* The init needs a descriptor for each running job, so it raises its soft limit; each job's plan sets that of the
 * program. */
static void lift_limit(void) {
    uint64_t limits[2]; /* soft, hard */
    if (FAILED(sys(__NR_prlimit64, 0, RLIMIT_NOFILE, 0, limits))) return;
    limits[0] = limits[1];
    sys(__NR_prlimit64, 0, RLIMIT_NOFILE, limits, 0);
}

/* The last step of the plan of a living box. */
long op_serve(struct player *p, const struct step *s) {
    struct box b = {.socket = p->socket, .signals = p->signals, .play_job = p->play_job};
    become_init(p, s);
    close_all_but(b.socket, b.signals);
    sys(__NR_chdir, "/");
    lift_limit();
    ns_report(p, 0);
    sys(__NR_munmap, p->plan, p->mapped);
    prepare_beginning(&b.spare);
    find_place(&b);
    serve(&b);
}
