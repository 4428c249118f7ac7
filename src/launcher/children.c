/* How a subreaper ends all that it has, and that comes to it meanwhile: whoever loses its parent becomes its child. */
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/poll.h>
#include <linux/wait.h>
#include <stdbool.h>
#include <stddef.h>

#include "children.h"
#include "numbers.h"
#include "sys.h"

enum { PIDS = 1 << 22, /* the kernel's PID_MAX_LIMIT */ LIST_MAX = 1 << 20, PATIENT = 20 };

struct killed {
    uint32_t count, immune; /* how many of them we may not kill */
    uint32_t left;          /* one of these */
};

/* Whoever has written the list of them: the kernel says who is our child, and as long as we do not reap, its pid is
 * nobody else's. */
static void kill_child(struct killed *k, uint32_t pid) {
    char info[128];
    if (FAILED(sys(__NR_waitid, P_PID, pid, info, WEXITED | WNOHANG | WNOWAIT | __WALL, 0))) return;
    k->count++;
    if (sys(__NR_kill, pid, SIGKILL) != -EPERM) return;
    k->immune++;
    k->left = pid;
}

static void kill_listed(struct killed *k) {
    char text[4096];
    uint32_t pid = 0;
    long fd = sys(__NR_openat, AT_FDCWD, "/proc/thread-self/children", O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), n;
    if (FAILED(fd)) return;
    for (long all = 0; all < LIST_MAX && (n = sys(__NR_read, fd, text, sizeof text)) > 0; all += n)
        for (long i = 0; i < n; i++) {
            bool digit = text[i] >= '0' && text[i] <= '9';
            if (!digit && pid) kill_child(k, pid);
            pid = digit ? pid * 10 + (uint32_t)(text[i] - '0') : 0;
        }
    sys(__NR_close, fd);
}

/* Where there is no /proc, or one with other numbers than ours, each is asked. */
static struct killed kill_children(void) {
    struct killed k = {0, 0, 0};
    kill_listed(&k);
    if (k.count) return k;
    for (uint32_t pid = 2; k.count == k.immune && pid < PIDS; pid++) kill_child(&k, pid);
    return k;
}

uint32_t end_children(int signals) {
    char infos[4096];
    for (int round = 0;; round++) {
        long pid, pause[2] = {round < PATIENT ? 0 : 1, round < PATIENT ? 5000000 : 0};
        struct pollfd poll = {signals, POLLIN, 0};
        while ((pid = sys(__NR_wait4, -1, 0, WNOHANG | __WALL, 0)) > 0 || pid == -EINTR) continue;
        if (pid == -ECHILD) return 0;
        struct killed k = kill_children();
        if (k.count && k.count == k.immune) return k.left;
        if (sys(__NR_ppoll, &poll, 1, pause, 0, 8) == -EINVAL) /* RLIMIT_NOFILE is 0 */
            sys(__NR_ppoll, 0, 0, pause, 0, 8);
        sys(__NR_read, signals, infos, sizeof infos);
    }
}
