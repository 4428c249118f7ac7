#include "player.h"

#include <linux/fcntl.h>

#include "numbers.h"
#include "sys.h"

static long end_of(const struct plan *plan) { return ((long)plan->size + 7) & ~7l; }

long player_size(const struct plan *plan) {
    const struct player *p = 0;
    long devices = DEVICES_PER_STEP * sizeof *p->devices, pins = PINS_PER_STEP * sizeof *p->pins;
    return end_of(plan) + (long)plan->count * (devices + pins);
}

void start_player(struct player *p, int socket, struct plan *plan) {
    uint64_t *devices = (uint64_t *)((char *)plan + end_of(plan));
    struct pin *pins = (struct pin *)(devices + plan->count * DEVICES_PER_STEP);
    *p = (struct player){.plan = plan,
                         .socket = socket,
                         .root = -1,
                         .source_dir = AT_FDCWD,
                         .signals = -1,
                         .ruleset = -1,
                         .next = -1,
                         .scratch = -1,
                         .upper = -1,
                         .works = -1,
                         .devices = devices,
                         .pins = pins};
    p->mapped = player_size(plan);
    p->umask = sys(__NR_umask, 0);
}

_Noreturn void end_process(int code) {
    sys(__NR_exit_group, code);
    for (;;) __builtin_trap();
}

void ns_report(struct player *p, long error) {
    struct record r = {p->plan->current, (int32_t)error};
    if (!FAILED(sys(__NR_sendto, p->socket, &r, sizeof r, MSG_NOSIGNAL))) return;
    end_process(127);
}

void unmask_signals(void) {
    uint64_t none = 0;
    sys(__NR_rt_sigprocmask, SIG_SETMASK, &none, 0, sizeof none);
}

/* A list may be asked for again: what is above the plan's size is a pointer already. */
char **plan_list(const struct player *p, uint32_t offset) {
    if (!offset) return 0;
    uintptr_t *list = (uintptr_t *)((char *)p->plan + offset);
    for (uintptr_t *entry = list; *entry; entry++)
        if (*entry < p->plan->size) *entry += (uintptr_t)p->plan;
    return (char **)list;
}
