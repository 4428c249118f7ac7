/* A further program in a living box: its init is asked for it over the box's socket, gets the two sockets of the job,
 * and makes a child, which plays the job's plan (plan.h). */
#include "job.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../launcher/message.h"
#include "../launcher/player.h"
#include "../launcher/sys.h"
#include "encode.h"
#include "io.h"
#include "result.h"

/* The numbers in the list at index `arg`: returns how many there are; -1 if they are more than one message can
 * carry. */
static int check_list(lua_State *L, int arg, int fds[DESCRIPTORS_MAX]) {
    luaL_checktype(L, arg, LUA_TTABLE);
    size_t count = nsL_rawlen(L, arg);
    if (count > DESCRIPTORS_MAX) return -1;
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, arg, (int)i + 1);
        fds[i] = (int)luaL_checkinteger(L, -1);
        lua_pop(L, 1);
    }
    return (int)count;
}

/* A socket for us and one for the other side; -1 for what there is not. */
static int make_pair(int *ours, int *theirs) {
    int pair[2];
    *ours = *theirs = -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) return -errno;
    *ours = ns_above_stdio(pair[0]);
    int error = errno;
    *theirs = ns_above_stdio(pair[1]);
    if (*ours < 0) return -error;
    return *theirs < 0 ? -errno : 0;
}

/* The pair that the plan goes through, and the one that the init tells of the job by. SO_PASSCRED: with the launcher's
 * first message comes its pid. */
static int make_sockets(struct process *p, int theirs[2]) {
    int on = 1, plan = make_pair(&p->s.socket, &theirs[0]), told = make_pair(&p->told, &theirs[1]);
    if (plan < 0 || told < 0) return plan < 0 ? plan : told;
    return setsockopt(p->s.socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0 ? -errno : 0;
}

long ns_ask(int box, const struct record *request, const int *fds, int count, double seconds) {
    struct timespec t, *timeout = ns_timeout(seconds, &t);
    struct pollfd room = {box, POLLOUT, 0};
    long n = send_message(box, request, sizeof *request, fds, count);
    if (n != -EAGAIN) return n;
    int ready = ppoll(&room, 1, timeout, NULL);
    return ready > 0 ? send_message(box, request, sizeof *request, fds, count) : ready == 0 ? -ETIMEDOUT : -EINTR;
}

/* What of the plan finds room in the socket goes with the descriptors, and is there when the job begins. */
static long start(struct process *p, int box, const int *fds, int count, const struct plan *plan, int how,
                  double seconds) {
    int theirs[2];
    long kib = (player_size(plan) + 1023) / 1024;
    struct record request = {REQUEST_JOB, (int32_t)(kib << JOB_KIB) | how};
    long r = make_sockets(p, theirs);
    if (!FAILED(r)) r = send_message(p->s.socket, plan, plan->size, fds, count);
    if (!FAILED(r)) p->s.sent = (uint32_t)r;
    if (!FAILED(r)) r = ns_ask(box, &request, theirs, 2, seconds);
    for (int i = 0; i < 2; i++)
        if (theirs[i] >= 0) close(theirs[i]);
    return r;
}

int nsL_start_job(lua_State *L) {
    struct process *box = nsL_checkprocess(L);
    int fds[DESCRIPTORS_MAX], count = check_list(L, 2, fds), how = (int)luaL_checkinteger(L, 4);
    const struct plan *plan = nsL_checkplan(L, 3);
    double seconds = luaL_optnumber(L, 5, -1);
    if (count < 0) return nsL_refused(L, "job", EMFILE);
    if (ns_asked(box) < 0) return nsL_refused(L, "job", EPIPE);
    struct process *p = lua_newuserdata(L, sizeof *p);
    memset(p, 0, sizeof *p);
    p->s.pidfd = p->s.socket = p->told = p->pty = p->log = -1;
    p->image = box->image;
    p->age = box->age;
    p->job = p->alone = true;
    nsL_setclass(L, PROCESS);
    p->open = true;
    long r = start(p, ns_asked(box), fds, count, plan, how, seconds);
    if (!FAILED(r)) return 1;
    ns_close_handle(p);
    return nsL_refused(L, "job", (int)-r);
}

long ns_ask_init(const struct process *p, uint32_t what, int value) {
    struct record request = {what, value};
    long r = ns_asked(p) < 0 ? -EPIPE : ns_ask(ns_asked(p), &request, NULL, 0, 0);
    return r == -EPIPE || r == -ECONNRESET ? -ESRCH : r;
}

long ns_ask_signal(const struct process *p, int signal) { return ns_ask_init(p, REQUEST_SIGNAL, signal); }

int nsL_signal_all(lua_State *L) {
    long r = ns_ask_signal(nsL_checkprocess(L), (int)luaL_checkinteger(L, 2));
    if (FAILED(r)) return nsL_refused(L, "kill", (int)-r);
    lua_pushboolean(L, 1);
    return 1;
}
