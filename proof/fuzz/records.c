/* Bytes -> what the launcher, an init and the kernel tell of a process, read by the real files of src/core for it. Their calls to the
 * C library and to the kernel are answered here. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../../src/core/open.h"
#include "../../src/core/spawn.h"
#include "../../src/core/descendants.h"

static struct {
    const unsigned char *bytes;
    size_t left;
} told;

static unsigned byte(void) {
    if (told.left == 0) return 0;
    told.left--;
    return *told.bytes++;
}

static void fill(void *to, size_t size) {
    for (unsigned char *b = to; size > 0; size--) *b++ = (unsigned char)byte();
}

/* A record, a part of one, nothing yet, or the end. */
static ssize_t told_recv(int fd, void *to, size_t size, int flags) {
    (void)fd, (void)flags;
    static const int errors[] = {EAGAIN, EINTR, ECONNRESET};
    unsigned b = byte() % 16;
    if (b == 0) return 0;
    if (b < 4) return errno = errors[b - 1], -1;
    fill(to, b < 6 ? b % size : size);
    if (b == 7) memset(to, 0xff, 4); /* INIT_STATUS */
    if (b == 9) *(uint32_t *)to = INIT_STOPPED;
    if (b == 10) *(uint32_t *)to = INIT_MAXRSS;
    if (b == 11) *(uint32_t *)to = LAUNCHER_PTY;
    if (b == 12) *(uint32_t *)to = LAUNCHER_SOCKET;
    if (b == 8) memset((char *)to + 4, 0, 4);
    return (ssize_t)(b < 6 ? b % size : size);
}

static int told_poll(struct pollfd *polls, nfds_t count, const struct timespec *t, const sigset_t *mask) {
    (void)t, (void)mask;
    unsigned b = byte();
    for (nfds_t i = 0; i < count; i++) polls[i].revents = b >> i & 1 ? POLLIN : 0;
    if (b == 255) return errno = EINTR, -1;
    return (int)(b % 4);
}

static int told_ioctl(int fd, unsigned long request, void *argument) {
    (void)fd, (void)request;
    if (byte() & 1) return errno = ESRCH, -1;
    fill(argument, 64);
    return 0;
}

/* Bytes as those of recv, and perhaps a descriptor, or who has sent them. */
static ssize_t told_message(struct msghdr *m) {
    ssize_t n = told_recv(0, m->msg_iov->iov_base, m->msg_iov->iov_len, 0);
    unsigned b = byte();
    struct cmsghdr *head = m->msg_control;
    m->msg_flags = b == 1 ? MSG_CTRUNC : 0;
    if (n <= 0 || b & 1) return m->msg_controllen = 0, n;
    if (b & 2 && *(uint32_t *)m->msg_iov->iov_base != LAUNCHER_PTY)
        *(uint32_t *)m->msg_iov->iov_base = INIT_JOB + (b >> 2 & 1);
    size_t size = b & 2 ? sizeof(int) : sizeof(struct ucred);
    if (m->msg_controllen < CMSG_LEN(size)) return m->msg_controllen = 0, n;
    *head = (struct cmsghdr){CMSG_LEN(size), SOL_SOCKET, b & 2 ? SCM_RIGHTS : SCM_CREDENTIALS};
    memset(CMSG_DATA(head), 103, size);
    m->msg_controllen = CMSG_LEN(size);
    return n;
}

static ssize_t told_recvmsg(int fd, struct msghdr *m, int flags) {
    (void)fd, (void)flags;
    return told_message(m);
}

static int told_close(int fd) { return fd >= 0 ? 0 : -1; }

static long told_call(long n, long a, long b, long c, long d, long e, long f);
#define SYS_CALL told_call
#define recv told_recv
#define ppoll told_poll
#define ioctl told_ioctl
#define close told_close
#define recvmsg told_recvmsg
#define poll(polls, count, wait) told_poll(polls, count, NULL, NULL)
#define sched_setaffinity(pid, size, set) ((void)(set), 0)
#define sched_setscheduler(pid, policy, parameters) ((void)(parameters), 0)
#define setpriority(which, who, value) 0
#define ns_send_plan(s, plan) ((void)(plan), (int)(byte() % 3) - 1)
#define ns_kill_descendants(pid, pidfd) ((pid_t)(byte() % 2))
#define send_message told_send_message
#define receive_message told_receive_message
#include "../../src/launcher/message.c"
#include "../../src/core/handle.c"
#include "../../src/core/hear.c"
#include "../../src/core/job.c"
#include "../../src/core/launch.c"
#include "../../src/core/process.c"

static long told_call(long n, long a, long b, long c, long d, long e, long f) {
    (void)a, (void)d, (void)f;
    if (n == __NR_recvmsg) {
        ssize_t got = told_message((struct msghdr *)b);
        return got < 0 ? -errno : got;
    }
    if (n == __NR_waitid) {
        siginfo_t *info = (siginfo_t *)c;
        unsigned kind = byte() % 4;
        if (kind == 1) return -ECHILD;
        if (kind == 2) return -EINTR;
        info->si_pid = (int)byte();
        info->si_code = (int)byte() % 7;
        info->si_status = (int)byte();
        fill((void *)e, sizeof(struct rusage));
        return 0;
    }
    if (n == __NR_process_vm_readv) {
        const struct iovec *here = (const struct iovec *)b;
        if (byte() & 1) return -EPERM;
        fill(here->iov_base, here->iov_len);
        if (byte() & 1) *(uint32_t *)here->iov_base = PLAN_MAGIC;
        return (long)here->iov_len;
    }
    return byte() & 1 ? -ESRCH : 0;
}

static lua_State *L;
static struct image image = {.fd = -1};

static struct process *push_process(void) {
    struct process *p = lua_newuserdata(L, sizeof *p);
    unsigned form = byte();
    *p = (struct process){.open = true, .s = {.pid = 2, .pidfd = 101, .socket = form & 1 ? 100 : -1}, .image = &image};
    p->pty = -1;
    p->job = form & 32;
    p->told = p->job ? 102 : -1;
    if (p->job) p->s.pidfd = -1, p->s.pid = 0;
    p->detached = form & 2;
    p->alone = form & 4;
    p->init = form & 8 ? 3 : 0;
    image.way = form & 16 ? BY_COPY : BY_MEMFD;
    nsL_setclass(L, PROCESS);
    return p;
}

static void expect(int truth, const char *what) {
    if (truth) return;
    fprintf(stderr, "FINDING: %s\n", what);
    abort();
}

enum { STEPS_TOLD = 9 }; /* in the plan that is played */

/* true, or nil and one of these words, and numbers after it */
static void check_result(int from) {
    static const char *const words = " exit signal lost timeout again step exec retry died kill plan init job clone ";
    char word[32];
    int count = lua_gettop(L) - from;
    expect(count >= 1 && (lua_isnil(L, from + 1) || lua_isboolean(L, from + 1)), "the first result");
    if (count == 1) return;
    snprintf(word, sizeof word, " %s ", lua_tostring(L, from + 2));
    expect(strstr(words, word) != NULL, "the word");
    expect(count < 3 || lua_isnumber(L, from + 3), "the number");
    if (strcmp(word, " step ") != 0) return;
    expect(lua_tointeger(L, from + 3) != 0 && lua_tointeger(L, from + 4) != 0, "a step without error");
    expect(lua_tointeger(L, from + 4) <= STEPS_TOLD, "a step that is not in the plan");
}

static void call(const char *method, int process, bool plan, lua_Integer number) {
    int top = lua_gettop(L);
    lua_getfield(L, process, method);
    lua_pushvalue(L, process);
    if (plan) lua_pushvalue(L, 1);
    lua_pushinteger(L, number);
    if (plan) lua_pushinteger(L, ((struct process *)lua_touserdata(L, process))->init);
    if (lua_pcall(L, plan ? 4 : 2, LUA_MULTRET, 0) != LUA_OK)
        expect(strstr(lua_tostring(L, -1), "closed process") != NULL, lua_tostring(L, -1));
    else if (method[0] != 'u' && method[0] != 'c')
        check_result(top);
    lua_settop(L, top);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!L) {
        L = luaL_newstate();
        lua_newtable(L);
        nsL_open_orphans(L);
        nsL_open_process(L);
        nsL_open_encode(L);
        lua_getfield(L, 1, "encode");
        lua_newtable(L);
        lua_call(L, 1, 1);
        lua_replace(L, 1);
        ((struct plan *)lua_touserdata(L, 1))->count = STEPS_TOLD;
    }
    told.bytes = data;
    told.left = size;
    struct process *p = push_process();
    for (int i = 0; i < 12 && told.left > 0; i++) switch (byte() % 6) {
        case 0:
            call("play", 2, true, (lua_Integer)byte() - 1);
            break;
        case 1:
            call("wait", 2, false, (lua_Integer)byte() - 1);
            break;
        case 2:
            call("kill", 2, false, byte());
            break;
        case 3:
            call("usage", 2, false, 0);
            break;
        case 4:
            call("close", 2, false, 0);
            break;
        default:
            call("play", 2, true, 0);
        }
    call("close", 2, false, 0);
    expect(p->s.pidfd == -1 && p->s.socket == -1 && p->told == -1 && p->pty == -1, "left open");
    lua_settop(L, 1);
    return 0;
}
