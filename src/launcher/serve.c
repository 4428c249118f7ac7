/* Process 1 of a living box. It has no program of its own: the host asks it for one job after the other, and for each
 * it makes a child, which plays the job's plan (plan.h). When a job ends, it writes the usage and the status to that
 * job's second socket; these few records always fit into the socket's buffer. It also reaps the orphans that jobs leave
 * behind.
 *
 * The box ends with the job that has JOB_ENDS_BOX; and when the host closes its end of the box's socket, unless the box
 * has a name (named.h): then hosts come and go, each in a conversation of its own, and a job ends with the host that
 * has asked for it. */
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/signalfd.h>
#include <linux/wait.h>
#include <stdbool.h>
#include <stddef.h>

#include "begin.h"
#include "fds.h"
#include "init.h"
#include "message.h"
#include "named.h"
#include "net.h"
#include "numbers.h"
#include "ops.h"
#include "sys.h"

enum { CONVERSATION = -1 };

/* A job that runs, or a conversation; pid is 0 in a free place of the table. */
struct place {
    long pid;                    /* or CONVERSATION */
    int socket;                  /* of a job, its second one, through which we tell of it */
    uint32_t how;                /* of a job: JOB_*; of a conversation: is he to be heard? */
    struct beginning *beginning; /* of a job, until we know that it has executed its program */
};

/* What is polled; a place's own follows these. */
enum { SIGNALS, HOST, LISTENER, OUTPUT, PLACES };

struct box {
    int socket, signals; /* to the host; a signalfd */
    uint32_t room;       /* places */
    struct place *places;
    struct pollfd *polls; /* behind the places */
    struct named named;
    job_player *play_job;
    struct beginning *spare; /* memory for the next one */
};

static long table_size(uint32_t room) {
    return (long)(room * sizeof(struct place) + (PLACES + room) * sizeof(struct pollfd));
}

static long grow(struct box *b) {
    uint32_t room = b->room ? 2 * b->room : 64;
    long at = sys(SYS_mmap, 0, table_size(room), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (FAILED(at)) return at;
    struct place *places = (struct place *)at;
    struct pollfd *polls = (struct pollfd *)(places + room);
    for (uint32_t i = 0; i < b->room; i++) places[i] = b->places[i];
    for (uint32_t i = 0; b->room && i < PLACES + b->room; i++) polls[i] = b->polls[i];
    if (b->room) sys(__NR_munmap, b->places, table_size(b->room));
    b->places = places, b->polls = polls, b->room = room;
    return 0;
}

/* The number of a free place, or -errno. */
static long find_place(struct box *b) {
    uint32_t i = 0;
    while (i < b->room && b->places[i].pid) i++;
    long r = i < b->room ? 0 : grow(b);
    return FAILED(r) ? r : (long)i;
}

static struct place *find_job(const struct box *b, long pid) {
    for (uint32_t i = 0; i < b->room; i++)
        if (b->places[i].pid == pid) return &b->places[i];
    return 0;
}

/* The job that the box ends with. */
static const struct place *main_job(const struct box *b) {
    for (uint32_t i = 0; i < b->room; i++)
        if (b->places[i].pid > 0 && b->places[i].how & JOB_ENDS_BOX) return &b->places[i];
    return 0;
}

static void tell(int socket, uint32_t what, int value) {
    struct record r = {what, value};
    sys(__NR_sendto, socket, &r, sizeof r, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* status: as of wait4(2), of the box */
_Noreturn static void end_box(struct box *b, int status) {
    named_read_output(&b->named);
    for (uint32_t i = 0; i < b->room; i++)
        if (b->places[i].pid == CONVERSATION) tell(b->places[i].socket, INIT_STATUS, status);
    exit_init(exit_code(status));
}

/* ---- requests ---- */

static void refuse_job(int socket, long error) {
    struct record r = {INIT_JOB, (int32_t)-error};
    send_message(socket, &r, sizeof r, 0, 0);
}

/* sockets: those of the job. The first is its launcher's; we close our copy, so that its end-of-file tells the host
 * that exec has succeeded. A child whose pidfd the host does not get (ETOOMANYREFS, if a program keeps descriptors in
 * flight; EPIPE, if the host has given up) is nobody's, and ended at once. */
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
    b->places[place] = (struct place){pid, sockets[1], how, beginning};
    if (!FAILED(r)) return;
    sys(__NR_kill, pid, SIGKILL);
    refuse_job(sockets[1], r);
}

/* The memory of those that have executed their programs is free. */
static void end_beginnings(struct box *b) {
    for (uint32_t i = 0; i < b->room; i++) {
        struct place *job = &b->places[i];
        if (!job->beginning || job->beginning->is_inside) continue;
        end_beginning(job->beginning, &b->spare);
        job->beginning = 0;
    }
}

/* From now on it is asked by those who connect. */
static void keep(struct box *b) {
    if (b->named.listener < 0 || b->socket < 0) return;
    sys(__NR_prctl, PR_SET_PDEATHSIG, 0, 0, 0, 0);
    sys(__NR_close, b->socket);
    b->socket = -1;
}

/* Takes one message from a socket. The descriptors of a message that is no request are closed,
 * and by that end-of-file its sender learns that it was refused. over: there is nothing more to be had from him. */
static void take_request(struct box *b, int socket, bool *over) {
    struct record r = {0, 0};
    int fds[2], count;
    long n = receive_message(socket, &r, sizeof r, fds, 2, &count, MSG_DONTWAIT);
    *over = n == 0;
    end_beginnings(b);
    if (n != sizeof r) r.step = 0;
    if (r.step == REQUEST_JOB && count == 2) {
        start_job(b, (uint32_t)r.error, fds);
        return;
    }
    if (r.step == REQUEST_SIGNAL) sys(__NR_kill, -1, r.error);
    if (r.step == REQUEST_KEEP) keep(b);
    if (r.step == REQUEST_SOCKET && count == 1) give_socket((uint32_t)r.error, fds[0]);
    if (r.step == REQUEST_END) end_box(b, main_job(b) ? SIGKILL : 0);
    for (int i = 0; i < count; i++) sys(__NR_close, fds[i]);
}

static void hear_host(struct box *b) {
    bool over;
    take_request(b, b->socket, &over);
    if (over) exit_init(0);
}

/* The first message of a conversation: who has sent it is to be heard, or it is over. */
static void take_greeting(struct box *b, struct place *place, bool *over) {
    struct record r = {0, 0};
    int fds[2], count;
    long n = receive_message(place->socket, &r, sizeof r, fds, 2, &count, MSG_DONTWAIT);
    place->how = n == sizeof r && r.step == REQUEST_BOX && count == 1 && named_is_directory(&b->named, fds[0]);
    for (int i = 0; i < count; i++) sys(__NR_close, fds[i]);
    *over = !place->how || FAILED(named_answer(&b->named, place->socket));
}

/* From a job nothing is heard but that its host is gone. */
static void hear_place(struct box *b, uint32_t i) {
    bool over;
    long pid = b->places[i].pid;
    if (pid != CONVERSATION) {
        sys(__NR_kill, pid, SIGKILL);
        sys(__NR_kill, -pid, SIGKILL);    /* and its group, if it leads one */
        b->places[i].how |= JOB_OUTLIVES; /* as far as that host is concerned */
        return;
    }
    if (b->places[i].how)
        take_request(b, b->places[i].socket, &over);
    else
        take_greeting(b, &b->places[i], &over);
    if (!over) return;
    sys(__NR_close, b->places[i].socket);
    b->places[i] = (struct place){0};
}

static void accept_one(struct box *b) {
    long place = find_place(b);
    if (FAILED(place)) {
        b->named.full = true;
        return;
    }
    long fd = named_accept(&b->named);
    if (!FAILED(fd)) b->places[place] = (struct place){CONVERSATION, (int)fd, 0, 0};
}

/* ---- children ---- */

static void tell_end(const struct place *job, int status, const struct usage *usage) {
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
        struct place *job = pid > 0 ? find_job(b, pid) : 0;
        if (!job) continue;
        if ((status & 0xff) == 0x7f) {
            if (job->how & JOB_TELLS_STOPS) tell_stop(job->socket, status);
            continue;
        }
        tell_end(job, status, &usage);
        if (job->how & JOB_ENDS_BOX) end_box(b, status);
        if (job->beginning) end_beginning(job->beginning, &b->spare);
        *job = (struct place){0};
    }
    return true;
}

/* Signals that a process outside sends to the init are handed on to the job with JOB_ENDS_BOX. Such a sender has no pid
 * in here, so ssi_pid is 0. */
static void hand_on(const struct box *b) {
    struct signalfd_siginfo infos[TURN];
    long size = sys(__NR_read, b->signals, infos, sizeof infos);
    const struct place *job = main_job(b);
    for (long i = 0; job && i * (long)sizeof infos[0] < size; i++)
        if (infos[i].ssi_signo != SIGCHLD && infos[i].ssi_signo < SIGRTMIN && infos[i].ssi_code == SI_USER &&
            infos[i].ssi_pid == 0)
            sys(__NR_kill, job->pid, infos[i].ssi_signo);
}

/* ---- its life ---- */

/* Lists what is to be polled, and returns how much that is. A box without a name has no one else to hear than its host;
 * and with that all ends. */
static uint32_t list_polls(const struct box *b) {
    const struct named *n = &b->named;
    struct pollfd *polls = b->polls;
    uint32_t count = n->listener < 0 ? LISTENER : PLACES;
    polls[SIGNALS] = (struct pollfd){b->signals, POLLIN, 0};
    polls[HOST] = (struct pollfd){b->socket, POLLIN, 0};
    polls[LISTENER] = (struct pollfd){n->full ? -1 : n->listener, POLLIN, 0};
    polls[OUTPUT] = (struct pollfd){n->output, POLLIN, 0};
    for (uint32_t i = 0; n->listener >= 0 && i < b->room; i++) {
        const struct place *place = &b->places[i];
        bool talks = place->pid == CONVERSATION, is_watched = place->pid > 0 && !(place->how & JOB_OUTLIVES);
        polls[PLACES + i] = (struct pollfd){talks || is_watched ? place->socket : -1, talks ? POLLIN : 0, 0};
        if (place->pid) count = PLACES + i + 1;
    }
    return count;
}

/* The host comes first: what it has asked for before others could connect is done before they are heard. */
static void hear_all(struct box *b, uint32_t count) {
    if (b->polls[HOST].revents) hear_host(b);
    for (uint32_t i = PLACES; i < count; i++)
        if (b->polls[i].revents) hear_place(b, i - PLACES);
}

_Noreturn static void serve(struct box *b) {
    for (bool more = true;;) {
        long pause[2] = {more ? 0 : 1, 0}; /* the kernel may write there what is left of it */
        uint32_t count = list_polls(b);
        await_work(b->polls, count, more || b->named.full ? pause : 0);
        b->named.full = false;
        bool signals = b->polls[SIGNALS].revents, accepts = b->polls[LISTENER].revents;
        if (signals) hand_on(b);
        if (b->polls[OUTPUT].revents) named_read_output(&b->named);
        hear_all(b, count);
        if (signals || more) more = reap(b);
        if (accepts) accept_one(b);
    }
}

/* The last step of the plan of a living box. value: how many descriptors, from 0 on, are the box's (BOX_*); 0: it has
 * no name; limit: the protocol; data: the struct identity of its directory. A box with a name is no part of its host's
 * session. */
long op_serve(struct player *p, const struct step *s) {
    struct box b = {.socket = p->socket, .signals = p->signals, .play_job = p->play_job};
    close_from((unsigned)s->value, b.socket, b.signals);
    const char *directory = s->size == sizeof(struct identity) ? plan_string(p, s->data) : 0;
    long r = named_open(&b.named, (uint32_t)s->value, (int32_t)s->limit, directory);
    if (!FAILED(r)) r = grow(&b);
    if (FAILED(r)) return r;
    if (s->value) sys(__NR_setsid);
    become_init(p, s);
    sys(__NR_chdir, "/");
    lift_limit(); /* there is a descriptor for each running job; the plan of each sets the limit of its program */
    ns_report(p, 0);
    sys(__NR_munmap, p->plan, p->mapped);
    prepare_beginning(&b.spare);
    serve(&b);
}
