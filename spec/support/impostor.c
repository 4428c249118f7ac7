/* Takes the place of its init, which it may trace: stops it, takes its sockets, says "ready", and answers the host.
 *
 * impostor WHAT [PROTOCOL]: with each answer go the descriptors that WHAT has letters for: p, a pidfd of who has made
 * the other end of the socket; i, of the init; s and l, what the init has as the STATE and the LOG of a box with a name;
 * m, an empty memfd; n, /dev/null; d, a directory of /proc. Of t, a new socket of the box's network, and of T, the same
 * that is closed slowly, it keeps a copy; of b it makes the copy block. */
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

enum { INIT = 1, FDS = 64, REQUEST_JOB = 1, REQUEST_BOX = 4, REQUEST_SOCKET = 6 };

struct record {
    uint32_t step;
    int32_t error;
};

static int taken[FDS]; /* the init's descriptors */
static struct pollfd polls[1024];
static int poll_count;

static int pidfd_of(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

static int peer_of(int socket) {
    int fd = -1;
    socklen_t size = sizeof fd;
    getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &fd, &size);
    return fd;
}

static void listen_to(int fd) {
    fcntl(fd, F_SETFL, O_NONBLOCK);
    polls[poll_count++] = (struct pollfd){fd, POLLIN, 0};
}

static void take_place(void) {
    int status, init = pidfd_of(INIT);
    struct stat s;
    if (ptrace(PTRACE_SEIZE, INIT, 0, 0) || ptrace(PTRACE_INTERRUPT, INIT, 0, 0)) exit(1);
    waitpid(INIT, &status, __WALL);
    for (int i = 0; i < FDS; i++) {
        taken[i] = (int)syscall(438 /* pidfd_getfd */, init, i, 0);
        if (taken[i] >= 0 && fstat(taken[i], &s) == 0 && S_ISSOCK(s.st_mode)) listen_to(taken[i]);
    }
}

static int new_socket(char letter) {
    struct linger linger = {1, 1000};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (letter == 'T') setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    if (letter == 'b' && fork() == 0)
        for (;;) fcntl(fd, F_SETFL, 0);
    return fd;
}

static int descriptor(char letter, int from) {
    switch (letter) {
    case 'p':
        return peer_of(from);
    case 'i':
        return pidfd_of(INIT);
    case 's':
        return taken[1];
    case 'l':
        return taken[3];
    case 'm':
        return memfd_create("m", MFD_ALLOW_SEALING);
    case 'n':
        return open("/dev/null", O_RDWR);
    case 'd':
        return open("/proc/self", O_RDONLY | O_DIRECTORY);
    default:
        return new_socket(letter);
    }
}

static void answer(int to, int from, struct record r, const char *what) {
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int) * 8)];
    } control = {0};
    struct iovec vector = {&r, sizeof r};
    size_t count = strlen(what), size = sizeof(int) * count;
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control};
    message.msg_controllen = count ? CMSG_SPACE(size) : 0;
    control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(size), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    for (size_t i = 0; i < count; i++) ((int *)(void *)CMSG_DATA(&control.head))[i] = descriptor(what[i], from);
    if (sendmsg(to, &message, MSG_NOSIGNAL) < 0) perror("sendmsg");
    for (size_t i = 0; i < count; i++)
        if (!strchr("slt", what[i])) close(((int *)(void *)CMSG_DATA(&control.head))[i]);
}

/* The record, and up to two descriptors; how many there are, -1 without a record. */
static int hear(int from, struct record *r, int fds[2]) {
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int) * 2)];
    } control;
    struct iovec vector = {r, sizeof *r};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    if (recvmsg(from, &message, 0) != sizeof *r) return -1;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (!head || head->cmsg_type != SCM_RIGHTS) return 0;
    size_t size = head->cmsg_len - CMSG_LEN(0);
    memcpy(fds, CMSG_DATA(head), size);
    return (int)(size / sizeof(int));
}

static void serve(int from, const char *what, int protocol) {
    struct record r;
    int fds[2], count = hear(from, &r, fds);
    if (count < 0) return;
    if (r.step == REQUEST_BOX) answer(from, from, (struct record){0xfffffff7u, protocol}, what);
    if (r.step == REQUEST_SOCKET) answer(fds[0], from, (struct record){0xfffffff6u, 0}, what);
    if (r.step == REQUEST_JOB) answer(fds[1], from, (struct record){0xfffffffbu, 0}, what);
    for (int i = 0; i < count; i++)
        if (r.step != REQUEST_JOB || i == 0) close(fds[i]); /* a job's launcher is gone: it has been executed */
}

int main(int argc, char **argv) {
    take_place();
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        poll(polls, (nfds_t)poll_count, -1);
        for (int i = poll_count; i-- > 0;) {
            if (!polls[i].revents) continue;
            int accepted = accept(polls[i].fd, NULL, NULL);
            if (accepted >= 0)
                listen_to(accepted);
            else if (polls[i].revents & POLLIN)
                serve(polls[i].fd, argv[1], argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0);
            if (polls[i].revents & POLLHUP) close(polls[i].fd), polls[i] = polls[--poll_count];
        }
    }
}
