/* The part of the module that knows no Lua, as a program of its own: starts what a plan says, and ends as it does.
 * usage: starter PLAN CLONE-FLAGS */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "../src/core/spawn.h"
#include "../tools/plan_file.h"

int main(int argc, char **argv) {
    struct spawned child;
    struct image image = {.fd = -1};
    struct record r;
    int status;
    if (argc != 3) return 2;
    const struct plan *plan = read_plan_file(argv[1]);
    int inherited[] = {0, 1, 2};
    if (ns_spawn(&child, &image, strtoull(argv[2], NULL, 0), inherited, 3, NS_MAY_COPY, -1) < 0) {
        fprintf(stderr, "%s: error %d\n", child.step, child.error);
        return 3;
    }
    while (ns_send_plan(&child, plan) == 0) sched_yield();
    if (image.way == BY_COPY) fprintf(stderr, "the launcher was not executed\n");
    while (recv(child.socket, &r, sizeof r, 0) == (ssize_t)sizeof r)
        if (r.error) fprintf(stderr, "step %u: error %d\n", r.step, r.error);
    while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 4;
}
