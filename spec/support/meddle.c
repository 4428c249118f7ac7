/* What a program may try with the init of its box, or with those beside it. Says "ready" when it is done, and waits to be killed,
 * where nothing else is said.
 * usage: meddle flight LIMIT | limit LIMIT | forge | hold | stops NUMBER | tree NUMBER */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void ready(void) {
    puts("ready");
    fflush(stdout);
    fclose(stdout);
}

static long send_fds(int socket, const void *bytes, size_t size, int fd, int count) {
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(64 * sizeof(int))];
    } control = {{CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec vector = {(void *)bytes, size};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control};
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    for (int i = 0; i < count; i++) ((int *)CMSG_DATA(&control.head))[i] = fd;
    return sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void limit(const char *number) {
    struct rlimit both = {(rlim_t)atoi(number), (rlim_t)atoi(number)};
    if (prlimit(1, RLIMIT_NOFILE, &both, NULL) < 0) perror("prlimit");
}

/* Its init may have so few descriptors, and the user has already more in flight. */
static void flight(const char *number) {
    int pair[2];
    limit(number);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 || send_fds(pair[0], "", 1, 0, 64) < 0) perror("sendmsg");
    ready();
    for (;;) pause();
}

/* Each of the init's sockets tells the host of a new job, again and again. */
static void forge(void) {
    int init = (int)syscall(SYS_pidfd_open, 1, 0), own = (int)syscall(SYS_pidfd_open, getpid(), 0), type, sent = 0;
    const int32_t record[2] = {(int32_t)0xfffffffb, 0}; /* INIT_JOB */
    for (int fd = 0; fd < 64; fd++) {
        int taken = (int)syscall(438 /* pidfd_getfd */, init, fd, 0);
        socklen_t size = sizeof type;
        if (taken < 0 || getsockopt(taken, SOL_SOCKET, SO_TYPE, &type, &size) < 0) continue;
        for (int i = 0; i < 100 && send_fds(taken, record, sizeof record, own, 1) > 0; i++) sent++;
        close(taken);
    }
    printf("%d\n", sent);
}

/* Traces whoever comes, and never waits for him. */
static void hold(void) {
    ready();
    for (;; usleep(10000)) {
        DIR *proc = opendir("/proc");
        for (struct dirent *d; (d = readdir(proc));)
            if (atoi(d->d_name) > 1 && atoi(d->d_name) != getpid()) ptrace(PTRACE_SEIZE, atoi(d->d_name), 0, 0);
        closedir(proc);
    }
}

/* Is stopped as many times, exits with 7. */
static void stops(int number) {
    pid_t self = getpid();
    if (fork() == 0)
        while (kill(self, SIGCONT) == 0) usleep(20);
    while (number-- > 0) kill(self, SIGSTOP);
    _exit(7);
}

/* So many processes, each of which makes another one and ends. */
static void tree(int number) {
    pid_t self = getpid();
    signal(SIGTERM, SIG_IGN);
    while (getpid() == self && number-- > 0) fork();
    if (getpid() == self) ready();
    for (;; usleep(1000))
        if (fork() > 0) _exit(0);
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "", *number = argc > 2 ? argv[2] : "0";
    if (!strcmp(what, "flight")) flight(number);
    if (!strcmp(what, "forge")) forge();
    if (!strcmp(what, "hold")) hold();
    if (!strcmp(what, "stops")) stops(atoi(number));
    if (!strcmp(what, "tree")) tree(atoi(number));
    if (strcmp(what, "limit")) return 0;
    limit(number);
    ready();
    if (fork() == 0) usleep(50000); /* an orphan, which the init has to reap */
    return 0;
}
