/* Looks at every process in /proc that is not its own, in all ways that there are, until it is killed, and writes what it has got of
 * one that has not become the program yet: links, descriptors, memory, a trace. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *program; /* what becomes of each in the end */

static void got(const char *what, int pid, const char *link) {
    printf("%s of %d: %s\n", what, pid, link);
    fflush(stdout);
}

static void look_at_link(int pid, const char *name) {
    char path[64], link[256];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    ssize_t n = readlink(path, link, sizeof link - 1);
    if (n <= 0) return;
    link[n] = 0;
    int is_exe = strcmp(name, "exe") == 0;
    if (is_exe ? strcmp(link, program) != 0 : strcmp(link, "/") != 0) got(name, pid, link);
}

static void look_at_memory(int pid) {
    unsigned head[5] = {0};
    struct iovec here = {head, sizeof head}, there = {(void *)0x500000, sizeof head};
    if (process_vm_readv(pid, &here, 1, &there, 1, 0) == sizeof head && head[0] == 0x6e73706c)
        got("memory", pid, "a plan");
}

/* Sockets and namespaces are the launcher's; the program has files and pipes. */
static void take_descriptors(int pid) {
    char path[64], link[256];
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    for (int fd = 0; fd < 16 && pidfd >= 0; fd++) {
        int taken = (int)syscall(438 /* pidfd_getfd */, pidfd, fd, 0);
        if (taken < 0) continue;
        snprintf(path, sizeof path, "/proc/self/fd/%d", taken);
        ssize_t n = readlink(path, link, sizeof link - 1);
        link[n > 0 ? n : 0] = 0;
        if (strstr(link, ":[") && strncmp(link, "pipe:", 5) != 0) got("descriptor", pid, link);
        close(taken);
    }
    if (pidfd >= 0) close(pidfd);
}

static void trace(int pid) {
    if (ptrace(PTRACE_SEIZE, pid, 0, 0) < 0) return;
    ptrace(PTRACE_INTERRUPT, pid, 0, 0);
    if (waitpid(pid, NULL, __WALL) == pid) {
        look_at_link(pid, "exe");
        look_at_link(pid, "cwd");
        look_at_link(pid, "root");
    }
    ptrace(PTRACE_DETACH, pid, 0, 0);
}

int main(int argc, char **argv) {
    program = argv[argc - 1];
    printf("ready\n");
    fflush(stdout);
    for (int last = 1;;) {
        DIR *proc = opendir("/proc");
        for (struct dirent *d; (d = readdir(proc));) {
            int pid = atoi(d->d_name);
            if (pid <= 1 || pid == getpid()) continue;
            if (pid > last) last = pid;
        }
        closedir(proc);
        /* the next ones, which are not in the list yet, too */
        for (int pid = last > 4 ? last - 1 : 2; pid < last + 3; pid++) {
            if (pid == getpid()) continue;
            take_descriptors(pid);
            look_at_memory(pid);
            look_at_link(pid, "cwd");
            look_at_link(pid, "root");
            look_at_link(pid, "exe");
            trace(pid);
        }
    }
}
