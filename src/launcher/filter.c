/* The filter of system calls, seccomp(2). It is for the program alone: what exec and call still do themselves, as to
 * report, a strict filter would refuse. So it is installed right before the program, and no step is played after it.
 *
 * Where the host wants to know what it refuses, it does not refuse by itself: the kernel asks a supervisor, a process
 * beside the program, which notes the call and says the errno that the filter would have given. So it need not be
 * trusted to allow anything, and where it has ended, calls that would be asked for fail with ENOSYS. */
#include <linux/errno.h>
#include <linux/filter.h>
#include <linux/ioctl.h>
#include <linux/mman.h>
#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>

#include "fds.h"
#include "numbers.h"
#include "ops.h"
#include "sys.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5) /* since Linux 5.19 */
#endif

/* data: the instructions; flags: SECCOMP_FILTER_FLAG_*. value: so many bytes of data are the filter that asks a
 * supervisor, and the rest is the one that it stands for; 0: none asks */
long op_seccomp(struct player *p, const struct step *s) {
    if (s->value < 0 || s->value > s->size || !s->data || (s->value && !p->trace)) return -EINVAL;
    p->filter = s;
    return 0;
}

/* fd: memory of the host's, for a struct trace */
long op_trace(struct player *p, const struct step *s) {
    long at = sys(SYS_mmap, 0, sizeof *p->trace, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
    if (FAILED(at)) return at;
    p->trace = (struct trace *)at;
    return 0;
}

static const char *instructions(const struct player *p) { return plan_string(p, p->filter->data); }

/* What is refused here is refused of the filter's step, whoever plays. */
static long done(const struct player *p, long r) {
    if (FAILED(r))
        p->plan->current = (uint32_t)(p->filter - (const struct step *)((char *)p->plan + p->plan->steps)) + 1;
    return r;
}

static long install(const struct player *p, uint64_t flags, const char *first, uint64_t size) {
    struct { /* as struct sock_fprog */
        unsigned short count;
        const char *instructions;
    } program = {(unsigned short)(size / sizeof(struct sock_filter)), first};
    return done(p, sys(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program));
}

/* The filter that refuses by itself. */
static long install_plain(const struct player *p) {
    uint64_t asking = (uint64_t)p->filter->value;
    return install(p, p->filter->flags, instructions(p) + asking, p->filter->size - asking);
}

/* ---- the supervisor ---- */

/* What the filter does with this call, which is a struct seccomp_data. It has only the instructions that
 * lua/ns/words/bpf.lua makes. */
static uint32_t decide(const struct player *p, const uint32_t *call) {
    struct __attribute__((packed)) {
        uint16_t code;
        uint8_t on, off;
        uint32_t k;
    } const *i = (const void *)(instructions(p) + p->filter->value);
    const char *end = instructions(p) + p->filter->size;
    for (uint32_t a = 0; (const char *)(i + 1) <= end; i++) {
        bool holds = i->code == (BPF_JMP | BPF_JGT | BPF_K)   ? a > i->k
                     : i->code == (BPF_JMP | BPF_JGE | BPF_K) ? a >= i->k
                                                              : a == i->k;
        if (i->code == (BPF_RET | BPF_K)) return i->k;
        if (i->code == (BPF_LD | BPF_W | BPF_ABS))
            a = call[i->k / 4 % (sizeof(struct seccomp_data) / 4)];
        else if (i->code == (BPF_ALU | BPF_AND | BPF_K))
            a &= i->k;
        else
            i += i->code == (BPF_JMP | BPF_JA) ? i->k : holds ? i->on : i->off;
    }
    return EPERM;
}

/* The host may read meanwhile: a row is whole before it counts. */
static void note(volatile struct trace *t, uint32_t audit, uint32_t number, uint32_t error) {
    uint32_t i = 0;
    while (i < t->count && (t->rows[i].audit != audit || t->rows[i].number != number || t->rows[i].error != error)) i++;
    if (i == TRACE_ROWS) {
        t->more++;
        return;
    }
    if (i < t->count) {
        t->rows[i].count++;
        return;
    }
    t->rows[i].audit = audit, t->rows[i].number = number, t->rows[i].error = error, t->rows[i].count = 1;
    __atomic_store_n(&t->count, i + 1, __ATOMIC_RELEASE);
}

/* Where a process waits for an answer that cannot be given, the supervisor ends: then the kernel answers, ENOSYS. */
static void answer(const struct player *p, int listener) {
    union {
        struct seccomp_notif asked;
        uint32_t words[128]; /* a newer kernel may write more */
    } n;
    for (volatile uint32_t *word = n.words; word < n.words + 128; word++) *word = 0;
    if (FAILED(sys(__NR_ioctl, listener, SECCOMP_IOCTL_NOTIF_RECV, &n))) return; /* who has asked may be dead */
    uint32_t error = decide(p, n.words + offsetof(struct seccomp_notif, data) / 4) & SECCOMP_RET_DATA;
    note(p->trace, n.asked.data.arch, (uint32_t)n.asked.data.nr, error);
    struct seccomp_notif_resp said = {.id = n.asked.id, .error = -(int32_t)error};
    bool is_said = !FAILED(sys(__NR_ioctl, listener, SECCOMP_IOCTL_NOTIF_SEND, &said));
    if (!is_said && !FAILED(sys(__NR_ioctl, listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.asked.id))) end_process(0);
}

/* Waits until the filter is installed, by who has made us and shares his descriptors with us. -1: it was not. */
static int await_listener(const struct player *p, long installer) {
    volatile struct trace *t = p->trace;
    while (t->listener == 0 && sys(__NR_kill, installer, 0) != -ESRCH) {
        long soon[2] = {0, 200000};
        sys(__NR_ppoll, 0, 0, soon, 0, 8);
    }
    return t->listener - 1;
}

/* It ends when no process has the filter any more. Signals of a terminal are for the program. */
_Noreturn static void supervise(const struct player *p, long installer) {
    uint64_t all = ~0ull;
    sys(__NR_rt_sigprocmask, SIG_SETMASK, &all, 0, sizeof all);
    sys(__NR_prctl, PR_SET_NAME, "ns-trace", 0, 0, 0);
    sys(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
    int listener = await_listener(p, installer);
    bool is_ours = listener >= 0 && !FAILED(sys(__NR_unshare, CLONE_FILES));
    *(volatile int32_t *)&p->trace->listener = 0;
    if (!is_ours) end_process(0);
    close_all_but(listener, listener);
    sys(__NR_chdir, "/");
    for (;;) {
        struct pollfd poll = {listener, POLLIN, 0};
        sys(__NR_ppoll, &poll, 1, 0, 0, 8);
        if (poll.revents & (POLLHUP | POLLERR)) end_process(0);
        if (poll.revents) answer(p, listener);
    }
}

/* A child of our parent: the program shall not find it among its own. */
static long install_asking(struct player *p) {
    long self = sys(__NR_getpid), supervisor = sys(__NR_clone, CLONE_FILES | CLONE_PARENT, 0, 0, 0, 0);
    if (supervisor == 0) supervise(p, self);
    if (FAILED(supervisor)) return done(p, supervisor);
    uint64_t asks = p->filter->flags | SECCOMP_FILTER_FLAG_NEW_LISTENER, size = (uint64_t)p->filter->value;
    long r = install(p, asks | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, instructions(p), size);
    if (r == -EINVAL) r = install(p, asks, instructions(p), size);
    p->listener = FAILED(r) ? -1 : (int)r;
    *(volatile int32_t *)&p->trace->listener = FAILED(r) ? -1 : (int32_t)r + 1;
    return FAILED(r) ? r : 0;
}

/* ---- who installs it ---- */

long try_filter(struct player *p) { return install_plain(p); }

long install_filter(struct player *p) {
    if (!p->filter) return 0;
    return p->filter->value ? install_asking(p) : install_plain(p);
}

/* The supervisor looks every 0.2 ms: no call is made until it has answered, which this filter could refuse or kill
 * for. */
void drop_listener(struct player *p) {
    volatile struct trace *t = p->trace;
    if (!t) return;
    for (uint32_t i = 0; t->listener && i < 1u << 30; i++) continue;
    sys(__NR_close, p->listener);
    sys(__NR_munmap, t, sizeof *t);
}
