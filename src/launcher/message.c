#include "message.h"

#include <linux/errno.h>
#include <stdint.h>

#include "../plan.h"
#include "numbers.h"
#include "sys.h"

/* sendmsg(2), cmsg(3): what the kernel expects; its headers leave these structures to the C library */
struct vector {
    const void *bytes;
    size_t size;
};

struct message {
    void *name;
    int name_size;
    struct vector *vectors;
    size_t count;
    void *control;
    size_t control_size;
    unsigned flags;
};

struct control {
    size_t size;
    int level, type;
    int fds[DESCRIPTORS_MAX];
};

static size_t control_size(int count) { return offsetof(struct control, fds) + (size_t)count * sizeof(int); }

/* volatile: else the compiler makes it a call of memcpy(3), which may not be there */
static void copy(volatile int *to, const int *from, int count) {
    for (int i = 0; i < count; i++) to[i] = from[i];
}

long send_message(int socket, const void *bytes, size_t size, const int *fds, int count) {
    struct vector vector = {bytes, size};
    struct control control = {control_size(count), SOL_SOCKET, SCM_RIGHTS, {0}};
    struct message message = {.vectors = &vector, .count = 1};
    copy(control.fds, fds, count);
    if (count > 0) message.control = &control, message.control_size = control.size;
    return sys(__NR_sendmsg, socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

long receive_message(int socket, void *bytes, size_t size, int *fds, int most, int *count, int flags) {
    struct vector vector = {bytes, size};
    struct control control = {0, 0, 0, {0}};
    struct message message = {.vectors = &vector, .count = 1, .control = &control, .control_size = control_size(most)};
    *count = 0;
    long n = sys(__NR_recvmsg, socket, &message, flags | MSG_CMSG_CLOEXEC);
    if (FAILED(n)) return n;
    if (message.control_size >= control_size(0) && control.type == SCM_RIGHTS)
        *count = (int)((control.size - control_size(0)) / sizeof(int));
    copy(fds, control.fds, *count);
    if (!(message.flags & MSG_CTRUNC)) return n;
    while (*count > 0) sys(__NR_close, fds[--*count]);
    return -EMFILE;
}
