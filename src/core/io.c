#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008
#endif

int ns_above_stdio(int fd) {
    if (fd < 0 || fd > 2) return fd;
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int error = errno;
    close(fd);
    errno = error;
    return moved;
}

int ns_new_memory(void) {
    int fd = memfd_create("ns", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) fd = memfd_create("ns", MFD_CLOEXEC | MFD_ALLOW_SEALING); /* before 6.3 */
    return ns_above_stdio(fd);
}

int ns_new_room(size_t size) {
    int fd = ns_new_memory();
    if (fd < 0) return -errno;
    if (ftruncate(fd, (off_t)size) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0) return fd;
    int error = errno;
    close(fd);
    return -error;
}

int ns_take_descriptors(struct msghdr *message, int *fds, int most) {
    int count = 0;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head; head = CMSG_NXTHDR(message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
        for (size_t at = 0; CMSG_LEN(at) < head->cmsg_len; at += sizeof *fds) {
            int fd;
            memcpy(&fd, CMSG_DATA(head) + at, sizeof fd);
            if (count < most)
                fds[count++] = fd;
            else
                close(fd);
        }
    }
    return count;
}

/* The kernel first carries what was written to the master's side, and then looks whether the other side is closed
 * (n_tty_read): what is written and closed in between is not carried yet when the master says EIO. Nothing can come
 * after that any more, so the next read has all, and its EIO is the end. */
ssize_t ns_read(int fd, char *s, size_t size) {
    ssize_t n = read(fd, s, size);
    if (n < 0 && errno == EIO) n = read(fd, s, size);
    return n < 0 && errno == EIO ? 0 : n;
}

ssize_t ns_read_now(int fd, char *s, size_t size) {
    ssize_t n = recv(fd, s, size, MSG_DONTWAIT);
    return n < 0 && errno == ENOTSOCK ? ns_read(fd, s, size) : n;
}

/* The two signals are blocked during the write. One that is pending afterwards, and was not before, has come of this
 * write. */
ssize_t ns_write_nosignal(int fd, const char *s, size_t size) {
    sigset_t fatal, before, pending;
    sigemptyset(&fatal);
    sigaddset(&fatal, SIGPIPE);
    sigaddset(&fatal, SIGXFSZ);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &fatal, &before);
    ssize_t n = write(fd, s, size);
    int error = errno;
    if (sigismember(&pending, SIGPIPE)) sigdelset(&fatal, SIGPIPE);
    if (sigismember(&pending, SIGXFSZ)) sigdelset(&fatal, SIGXFSZ);
    /* A part may have been written before, while the reader was still there. */
    if (n < 0 ? error == EPIPE || error == EFBIG : (size_t)n < size)
        while (sigtimedwait(&fatal, NULL, &(struct timespec){0, 0}) < 0 && errno == EINTR) continue;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return n;
}

ssize_t ns_write_now(int fd, const char *s, size_t size) {
    ssize_t n = send(fd, s, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n < 0 && errno == ENOTSOCK ? ns_write_nosignal(fd, s, size) : n;
}

double ns_clock(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct timespec *ns_timeout(double seconds, struct timespec *t) {
    if (!(seconds >= 0) || seconds > 1e9) return NULL;
    t->tv_sec = (time_t)seconds;
    t->tv_nsec = (long)((seconds - (double)t->tv_sec) * 1e9);
    return t;
}

bool ns_is_over(const struct timespec *t) { return t && t->tv_sec == 0 && t->tv_nsec == 0; }
