/* The floor: the least that a spawn can cost. The child borrows our memory (CLONE_VM|CLONE_VFORK), makes the system
 * calls of the case and executes the program; nothing is checked, described or cleaned up.
 *
 * usage: floor PROGRAM [NAMESPACE ...]; see rounds.h. With GROUP in the environment: the same in a control group (cgroup v2) of
 * that name, with limits. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../src/launcher/sys.h"
#include "rounds.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

static const struct {
    const char *name;
    int flag;
} namespaces[] = {
    {"user", CLONE_NEWUSER}, {"mount", CLONE_NEWNS}, {"pid", CLONE_NEWPID},       {"net", CLONE_NEWNET},
    {"ipc", CLONE_NEWIPC},   {"uts", CLONE_NEWUTS},  {"cgroup", CLONE_NEWCGROUP}, {"time", CLONE_NEWTIME},
};

struct job {
    char *program, *group;
    int flags;
    char uid_map[32], gid_map[32];
    const char *failed; /* the child writes it into our memory, errno too */
};

static int put(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t n = write(fd, text, strlen(text));
    return close(fd) < 0 || n < 0 ? -1 : 0;
}

/* The child may map its own ids itself, which saves the host a wake-up. */
static int write_maps(const struct job *j) {
    return put("/proc/self/setgroups", "deny") < 0 || put("/proc/self/gid_map", j->gid_map) < 0 ||
                   put("/proc/self/uid_map", j->uid_map) < 0
               ? -1
               : 0;
}

static const char *set_up(const struct job *j) {
    if (j->flags & CLONE_NEWUSER && write_maps(j) < 0) return "id maps";
    if (j->flags & CLONE_NEWNS && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return "private mounts";
    if (j->flags & CLONE_NEWTIME && unshare(CLONE_NEWTIME) < 0) return "time namespace";
    if (j->flags & CLONE_NEWPID && mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        return "/proc";
    if (j->flags & CLONE_NEWUTS && sethostname("namespace", 9) < 0) return "host name";
    return NULL;
}

static int child(void *argument) {
    struct job *j = argument;
    char *argv[] = {j->program, NULL};
    j->failed = set_up(j);
    if (!j->failed) {
        execve(j->program, argv, environ);
        j->failed = "execve";
    }
    _exit(127);
}

/* ---- with limits ---- */

static int put_in(const char *group, const char *file, const char *text) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", group, file);
    return put(path, text);
}

/* clone3(2), with its CLONE_INTO_CGROUP. */
struct into_group {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

static const char *limit(const struct job *j) {
    if (put_in(j->group, "cpu.max", "150000 100000") < 0) return "cpu.max";
    if (put_in(j->group, "memory.max", "67108864") < 0 || put_in(j->group, "memory.oom.group", "1") < 0)
        return "memory.max";
    return NULL;
}

static void spawn_in(struct job *j, int directory) {
    enum { INTO_CGROUP_HIGH = 2 }; /* CLONE_INTO_CGROUP is 1 << 33 */
    struct into_group how = {.flags = CLONE_VM | CLONE_VFORK | (uint64_t)INTO_CGROUP_HIGH << 32,
                             .exit_signal = SIGCHLD,
                             .cgroup = (uint64_t)directory};
    j->failed = "clone3";
    long pid = sys(__NR_clone3, &how, sizeof how); /* inline: the child does not return from here */
    if (pid == 0) {
        j->failed = limit(j);
        char *argv[] = {j->program, NULL};
        if (!j->failed) execve(j->program, argv, environ);
        _exit(127);
    }
    if (pid > 0) waitpid((pid_t)pid, NULL, 0);
}

/* One round in a group: it is made, and taken away. */
static double play_grouped(void *job) {
    struct job *j = job;
    double start = now();
    int directory = mkdir(j->group, 0755) < 0 ? -1 : open(j->group, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    j->failed = "group";
    if (directory >= 0 && put_in(j->group, "pids.max", "20") == 0) spawn_in(j, directory);
    close(directory);
    if (rmdir(j->group) < 0 && !j->failed) j->failed = "rmdir";
    double end = now();
    if (!j->failed) return end - start;
    fprintf(stderr, "floor: %s: %s\n", j->failed, strerror(errno));
    return -1;
}

/* One round: microseconds, or -1. A time namespace is unshared by the child, as shared memory has only one. */
static double play(void *job) {
    struct job *j = job;
    static _Alignas(16) char stack[65536];
    double start = now();
    j->failed = "clone";
    pid_t pid = clone(child, stack + sizeof stack, CLONE_VM | CLONE_VFORK | (j->flags & ~CLONE_NEWTIME) | SIGCHLD, j);
    int error = errno;
    if (pid > 0) waitpid(pid, NULL, 0);
    double end = now();
    if (!j->failed) return end - start;
    fprintf(stderr, "floor: %s: %s\n", j->failed, strerror(error));
    return -1;
}

static int flag_of(const char *name) {
    for (size_t i = 0; i < sizeof namespaces / sizeof namespaces[0]; i++)
        if (strcmp(namespaces[i].name, name) == 0) return namespaces[i].flag;
    return 0;
}

int main(int argc, char **argv) {
    struct job j = {.program = argv[1], .group = getenv("GROUP")};
    if (argc < 2) return 2;
    for (int i = 2; i < argc; i++) j.flags |= flag_of(argv[i]);
    snprintf(j.uid_map, sizeof j.uid_map, "0 %u 1\n", geteuid());
    snprintf(j.gid_map, sizeof j.gid_map, "0 %u 1\n", getegid());
    return serve_rounds(j.group ? play_grouped : play, &j);
}
