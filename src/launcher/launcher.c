/* The program inside: it reads a plan, plays the steps one by one and reports the first that fails.
 *
 * The law of this directory: system calls through sys() alone, no C library, no allocation but the plan's own mapping,
 * nothing of the host but plan.h. The same code runs as a program of its own (start.c) and, where a memfd may not be
 * executed, in a copy of the host (core/spawn.c). */
#include "launcher.h"

#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <stdbool.h>
#include <stddef.h>

#include "fds.h"
#include "message.h"
#include "numbers.h"
#include "ops.h"
#include "player.h"
#include "sys.h"

_Noreturn static void leave(void) { end_process(127); }

static void read_all(int fd, char *to, uint32_t size) {
    while (size > 0) {
        long n = sys(__NR_read, fd, to, size);
        if (n <= 0) leave(); /* the host is gone, or has given up */
        to += n;
        size -= (uint32_t)n;
    }
}

static int is_inside(const struct plan *p, uint64_t offset, uint64_t size) {
    return !offset || (offset >= p->steps + p->count * (uint64_t)sizeof(struct step) && offset + size < p->size);
}

static int is_list(const struct plan *p, uint32_t offset) {
    const uintptr_t *entry = (const uintptr_t *)((const char *)p + offset);
    if (offset % sizeof *entry || !is_inside(p, offset, 0)) return 0;
    for (; offset && offset + sizeof *entry <= p->size; offset += (uint32_t)sizeof *entry, entry++) {
        if (!*entry) return 1;
        if (!is_inside(p, *entry, 0)) return 0;
    }
    return !offset;
}

/* Whatever the bytes are, no offset leads out of them, or to what is no data. */
static int is_sound(const struct plan *p) {
    const struct step *s = (const struct step *)((const char *)p + p->steps);
    uint64_t end = p->steps + p->count * (uint64_t)sizeof *s;
    if (p->steps < sizeof *p || p->steps % sizeof(uint64_t) || end >= p->size || ((const char *)p)[p->size - 1])
        return 0;
    for (; s < (const struct step *)((const char *)p + end); s++)
        if (s->op >= ns_op_count || !is_inside(p, s->path, 0) || !is_inside(p, s->source, 0) ||
            !is_inside(p, s->type, 0) || !is_inside(p, s->data, s->size) || !is_list(p, s->paths) ||
            !is_list(p, s->argv) || !is_list(p, s->env) || !is_list(p, s->options))
            return 0;
    return 1;
}

static bool is_head(const struct plan *head) {
    return head->magic == PLAN_MAGIC && head->size >= sizeof *head && head->count <= head->size / sizeof(struct step);
}

/* The plan, and behind it room for what its steps note. */
static struct plan *read_plan(int socket) {
    struct plan head;
    read_all(socket, (char *)&head, sizeof head);
    if (!is_head(&head)) leave();
    long at =
        sys(SYS_mmap, PLAN_ADDRESS, player_size(&head), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (FAILED(at)) leave();
    struct plan *plan = (struct plan *)at;
    *plan = head;
    read_all(socket, (char *)plan + sizeof head, head.size - (uint32_t)sizeof head);
    if (!is_sound(plan)) leave();
    return plan;
}

/* An ignored signal stays ignored over exec; nothing of the host's choice shall reach the program. */
static void reset_signals(void) {
    struct {
        void *handler;
        unsigned long flags;
        void *restorer;
        uint64_t mask;
    } standard = {0};
    for (int signal = 1; signal <= 64; signal++) sys(__NR_rt_sigaction, signal, &standard, 0, 8);
}

/* Plays the steps. Returns the socket that another plan comes from, which is to be played in place of the rest; -1 in a
 * copy of the host that goes on by itself. */
static int play(struct player *p) {
    const struct step *steps = (const struct step *)((char *)p->plan + p->plan->steps);
    for (uint32_t i = 0; i < p->plan->count; i++) {
        const struct step *s = &steps[i];
        p->plan->current = i + 1;
        long r = ns_ops[s->op].run(p, s);
        if (p->returns || p->next >= 0) return p->next; /* this plan is not there any more */
        if (r < 0 && (uint32_t)-r != s->ignore) {
            ns_report(p, -r);
            break;
        }
    }
    leave();
}

/* The first bytes of a job's plan, and with them its descriptors. The socket becomes 0, so that they are 1 and those
 * that follow. */
static uint32_t receive_job(int socket, char *to, uint32_t room) {
    int fds[DESCRIPTORS_MAX], count;
    if (socket != 0) sys(__NR_dup3, socket, 0, O_CLOEXEC);
    close_all_but(0, 0);
    long n = receive_message(0, to, room, fds, DESCRIPTORS_MAX, &count, 0);
    struct record refused = {0, (int32_t)-n};
    if (FAILED(n)) sys(__NR_sendto, 0, &refused, sizeof refused, MSG_NOSIGNAL);
    if (n < (long)sizeof(struct plan)) leave();
    return (uint32_t)n;
}

/* The same as ns_launcher() for a job of a living box. to: room for its plan and its player's tables, with zeros in
 * it */
static void play_job(int socket, char *to, uint32_t room) {
    uint32_t have = receive_job(socket, to, room);
    struct plan *plan = (struct plan *)to;
    struct player p;
    if (!is_head(plan) || have > plan->size || player_size(plan) > (long)room) leave();
    read_all(0, to + have, plan->size - have);
    if (!is_sound(plan)) leave();
    start_player(&p, 0, plan);
    play(&p);
    leave();
}

void ns_launcher(int socket) {
    for (bool first = true; socket >= 0; first = false) {
        struct player p;
        start_player(&p, socket, read_plan(socket));
        p.play_job = play_job;
        if (first) reset_signals();
        socket = play(&p);
    }
}
