/* Boxes with a name, from outside: the directory that their sockets are in, and a conversation with the init of one
 * (plan.h). */
#include "named.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../launcher/message.h"
#include "../launcher/named.h"
#include "../launcher/ops.h"
#include "../launcher/sys.h"
#include "bag.h"
#include "handle.h"
#include "io.h"
#include "job.h"
#include "launch.h"
#include "numbers.h"
#include "open.h"
#include "result.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

enum { STATE_MAX = 16 << 20, LOCK_TRIES = 200 };

/* FNV-1a, of 31 bits */
static uint32_t mix(uint32_t hash, uint32_t value) { return ((hash ^ value) * 16777619u) & 0x7fffffffu; }

/* A number that differs where a plan of one build would mean something else to the launcher of another. */
static uint32_t protocol(void) {
    uint32_t hash = mix(mix(mix(2166136261u, PROTOCOL), sizeof(struct step)), sizeof(long));
    for (uint32_t i = 0; i < ns_op_count; i++)
        for (const char *c = ns_ops[i].name; *c; c++) hash = mix(hash, (unsigned char)*c);
    return hash;
}

/* ---- the directory ---- */

/* Is it a directory of this user's, and of nobody else's? 0 or -errno */
static long check_directory(int fd) {
    struct stat s;
    if (fstat(fd, &s) < 0) return -errno;
    return s.st_uid == geteuid() && (s.st_mode & 077) == 0 ? 0 : -EPERM;
}

static bool is_removed(int fd) {
    struct stat s;
    return fstat(fd, &s) == 0 && s.st_nlink == 0;
}

/* Whoever can read the directory can lock it, also a program that shall do nothing here: nobody is waited for longer
 * than honest ones take. */
static long lock_directory(int fd) {
    const struct timespec pause = {.tv_nsec = 10000000};
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) return 0;
        if (errno != EWOULDBLOCK || nanosleep(&pause, NULL) < 0) return -errno;
    }
    return -EBUSY;
}

/* how: 'l' looks only, 's' sweeps: nobody else does, or makes a name, meanwhile; 'm' the same, and makes it if it is
 * missing. */
static long open_directory(const char *path, char how) {
    if (how == 'm' && mkdir(path, 0700) < 0 && errno != EEXIST) return -errno;
    long fd = ns_above_stdio(open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (fd < 0) return -errno;
    long r = check_directory((int)fd);
    if (r == 0 && how != 'l') r = lock_directory((int)fd);
    if (r < 0) close((int)fd);
    return r < 0 ? r : fd;
}

/* named_directory(bag, path, "look" | "sweep" | "make") -> fd | nil, message, errno: EPERM if it is not ours alone,
 * EBUSY if it stays locked, ENOTDIR or ELOOP if it is none. As long as it is open, nobody else sweeps or makes. */
static int named_directory(lua_State *L) {
    const char *path = luaL_checkstring(L, 2), how = *luaL_checkstring(L, 3);
    long fd = open_directory(path, how);
    /* who has swept it before we had it has removed it, and there may be a new one: what we did to that would not be
     * locked */
    for (int i = 0; i < 100 && (fd >= 0 ? is_removed((int)fd) : fd == -ENOENT && how == 'm'); i++) {
        if (fd >= 0) close((int)fd);
        fd = open_directory(path, how);
    }
    return nsL_put(L, 1, fd);
}

/* A path of a name in a directory, however long that directory's own is. */
static struct sockaddr_un address_of(int directory, const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", directory, name);
    return address;
}

static int new_socket(void) {
    return ns_above_stdio(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

/* named_listen(bag, directory, name) -> fd | nil, message, errno: EADDRINUSE where there is one of that name */
static int named_listen(lua_State *L) {
    struct sockaddr_un address = address_of((int)luaL_checkinteger(L, 2), luaL_checkstring(L, 3));
    int fd = new_socket();
    if (fd < 0) return nsL_failed(L, errno);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 4096) == 0) return nsL_put(L, 1, fd);
    int error = errno;
    close(fd);
    return nsL_failed(L, error);
}

/* A full queue means that somebody listens. */
static long connect_to(int fd, int directory, const char *name) {
    struct sockaddr_un address = address_of(directory, name);
    return connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ? -errno : 0;
}

/* named_lives(directory, name) -> does somebody listen there, or is it no socket? And: is it one? */
static int named_lives(lua_State *L) {
    int directory = (int)luaL_checkinteger(L, 1), fd = new_socket();
    const char *name = luaL_checkstring(L, 2);
    struct stat s;
    bool is_other = fstatat(directory, name, &s, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISSOCK(s.st_mode);
    long r = fd < 0 || is_other ? 0 : connect_to(fd, directory, name);
    if (fd >= 0) close(fd);
    lua_pushboolean(L, r != -ECONNREFUSED && r != -ENOENT);
    lua_pushboolean(L, !is_other);
    return 2;
}

/* named_unlink(directory, name) */
static int named_unlink(lua_State *L) {
    unlinkat((int)luaL_checkinteger(L, 1), luaL_checkstring(L, 2), 0);
    return 0;
}

/* named_identity(directory) -> the bytes of its struct identity | nil, message, errno */
static int named_identity(lua_State *L) {
    struct identity id = {0};
    long r = identify((int)luaL_checkinteger(L, 1), &id);
    if (FAILED(r)) return nsL_failed(L, (int)-r);
    lua_pushlstring(L, (const char *)&id, sizeof id);
    return 1;
}

/* named_rmdir(path): if it is empty */
static int named_rmdir(lua_State *L) {
    rmdir(luaL_checkstring(L, 1));
    return 0;
}

/* ---- what the init is given ---- */

/* memory(bag, size) -> fd | nil, message, errno: a memfd of that size, which stays; 0: one that named_write fills */
static int new_memfd(lua_State *L) {
    lua_Integer size = luaL_checkinteger(L, 2);
    if (size > 0) return nsL_put(L, 1, ns_new_room((size_t)size));
    int fd = ns_new_memory();
    return nsL_put(L, 1, fd < 0 ? -errno : fd);
}

/* named_write(fd, bytes) -> true | nil, message, errno. Then it is as it is for ever. */
static int named_write(lua_State *L) {
    size_t size, done = 0;
    int fd = (int)luaL_checkinteger(L, 1);
    const char *bytes = luaL_checklstring(L, 2, &size);
    while (done < size) {
        ssize_t n = pwrite(fd, bytes + done, size - done, (off_t)done);
        if (n < 0) return nsL_failed(L, errno);
        done += (size_t)n;
    }
    return nsL_done(L,
                    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0 ? -errno : 0);
}

/* named_protect(fd) -> true | nil, message, errno. Nobody writes it from now on but who has it mapped already. */
static int named_protect(lua_State *L) {
    return nsL_done(L, fcntl((int)luaL_checkinteger(L, 1), F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0 ? -errno
                                                                                                               : 0);
}

/* ---- a conversation ---- */

enum { INIT_BOX_FDS = 3 };

struct answer {
    struct record r;
    struct ucred who;
    int fds[INIT_BOX_FDS], count;
};

static bool is_answer(const struct answer *a, ssize_t size) {
    return size == (ssize_t)sizeof a->r && a->r.step == INIT_BOX && a->count >= 2;
}

/* The answer with what comes along: 0, or -errno, and then nothing has. */
static long read_answer(int socket, struct answer *a) {
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof a->fds) + CMSG_SPACE(sizeof a->who)];
    } control;
    struct iovec vector = {&a->r, sizeof a->r};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0) return -errno;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head))
        if (head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_CREDENTIALS)
            memcpy(&a->who, CMSG_DATA(head), sizeof a->who);
    bool is_cut = message.msg_flags & MSG_CTRUNC;
    a->count = ns_take_descriptors(&message, a->fds, INIT_BOX_FDS);
    if (!is_cut && is_answer(a, n)) return 0;
    while (a->count > 0) {
        close(a->fds[--a->count]);
        a->fds[a->count] = -1;
    }
    return is_cut ? -EMFILE : n == 0 ? -ECONNREFUSED : -EPROTO;
}

/* Connects, until that time at the longest, as its queue may be full. */
static long connect_until(int fd, int directory, const char *name, double seconds) {
    const struct timespec pause = {0, 5000000};
    long r = connect_to(fd, directory, name);
    for (; r == -EAGAIN && seconds > 0; seconds -= 0.005) {
        if (clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL)) return -EINTR;
        r = connect_to(fd, directory, name);
    }
    return r == -EAGAIN ? -ETIMEDOUT : r;
}

/* The socket is that of this user: who has called listen(2) is known to the kernel. */
static long check_listener(int fd) {
    struct ucred who;
    socklen_t size = sizeof who;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0) return -errno;
    return who.uid == geteuid() ? 0 : -EPERM;
}

static long await(int fd, double seconds) {
    struct timespec t;
    struct pollfd poll = {fd, POLLIN, 0};
    int r = ppoll(&poll, 1, ns_timeout(seconds, &t), NULL);
    return r < 0 ? -errno : r == 0 ? -ETIMEDOUT : 0;
}

/* Asks for the answer; with it comes who the init is, as SO_PASSCRED is set meanwhile. */
static long converse(int fd, int directory, struct answer *a, double seconds) {
    int on = 1, off = 0;
    struct record request = {REQUEST_BOX, (int32_t)protocol()};
    if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0) return -errno;
    long r = send_message(fd, &request, sizeof request, &directory, 1);
    if (FAILED(r)) return r == -EPIPE ? -ECONNREFUSED : r;
    r = await(fd, seconds);
    if (r == 0) r = read_answer(fd, a);
    setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &off, sizeof off);
    return r == -ECONNRESET ? -ECONNREFUSED : r;
}

/* All of a STATE that this user has made and nobody can change any more, on the stack; nil, if it is none. */
static void push_state(lua_State *L, int fd) {
    struct stat s;
    int seals = fcntl(fd, F_GET_SEALS);
    bool is_whole =
        seals >= 0 && seals & F_SEAL_WRITE && fstat(fd, &s) == 0 && s.st_size <= STATE_MAX && s.st_uid == geteuid();
    char *bytes = is_whole ? malloc((size_t)s.st_size + 1) : NULL;
    ssize_t n = bytes ? pread(fd, bytes, (size_t)s.st_size, 0) : -1;
    if (n < 0)
        lua_pushnil(L);
    else
        lua_pushlstring(L, bytes, (size_t)n);
    free(bytes);
}

/* Whoever has taken the init's place sends any file: one that can become shorter is not to be mapped. */
static bool is_log(int fd) {
    struct stat s;
    int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && seals & F_SEAL_SHRINK && fstat(fd, &s) == 0 && s.st_size >= (off_t)sizeof(struct log);
}

static long open_conversation(struct process *p, int directory, const char *name, double seconds, struct answer *a) {
    p->told = new_socket();
    if (p->told < 0) return -errno;
    long r = connect_until(p->told, directory, name, seconds);
    if (r == 0) r = check_listener(p->told);
    return r < 0 ? r : converse(p->told, directory, a, seconds);
}

/* named_connect(directory, name, seconds) -> handle, protocol, state | nil, message, errno: ECONNREFUSED where nobody
 * listens */
static int named_connect(lua_State *L) {
    struct answer a = {.fds = {-1, -1, -1}};
    int directory = (int)luaL_checkinteger(L, 1);
    const char *name = luaL_checkstring(L, 2);
    double seconds = luaL_checknumber(L, 3);
    struct process *p = lua_newuserdata(L, sizeof *p);
    memset(p, 0, sizeof *p);
    p->s.pidfd = p->s.socket = p->told = p->pty = p->log = p->end = -1;
    p->image = nsL_image(L);
    p->age = p->image->age;
    p->job = p->box = true;
    nsL_setclass(L, PROCESS);
    p->open = true;
    long r = open_conversation(p, directory, name, seconds, &a);
    p->s.pid = a.who.pid;
    if (r == 0 && (!ns_may_be_inside(a.fds[1]) || (a.count == 3 && !is_log(a.fds[2])))) r = -EPROTO;
    p->s.pidfd = ns_above_stdio(a.fds[1]);
    p->log = ns_above_stdio(a.fds[2]);
    int state = ns_above_stdio(a.fds[0]);
    if (r == 0) {
        lua_pushinteger(L, a.r.error);
        push_state(L, state);
    }
    if (state >= 0) close(state);
    return r < 0 ? nsL_failed(L, (int)-r) : 3;
}

int nsL_keep_box(lua_State *L) {
    const struct process *p = nsL_checkprocess(L);
    long r = ns_ask_init(p, REQUEST_KEEP, 0);
    if (!FAILED(r)) r = await(p->s.socket, luaL_optnumber(L, 2, -1)); /* for its end-of-file */
    return nsL_done(L, FAILED(r) ? r : 0);
}

/* Copies what is in a log to `text`, which has LOG_SIZE bytes, and returns how much that is. What is written over
 * meanwhile is left out. */
static size_t copy_log(const volatile struct log *log, char *text) {
    uint64_t last = log->written, first = last > LOG_SIZE ? last - LOG_SIZE : 0, from = first;
    for (uint64_t i = first; i < last; i++) text[i - first] = log->bytes[i % LOG_SIZE];
    uint64_t begun = log->begun;
    if (begun > LOG_SIZE && begun - LOG_SIZE > from) from = begun - LOG_SIZE;
    if (from >= last) return 0;
    memmove(text, text + (from - first), (size_t)(last - from));
    return (size_t)(last - from);
}

int nsL_read_log(lua_State *L) {
    const struct process *p = nsL_checkprocess(L);
    struct log *log = p->log < 0 ? MAP_FAILED : mmap(NULL, sizeof *log, PROT_READ, MAP_SHARED, p->log, 0);
    if (log == MAP_FAILED) return 0;
    size_t size = 0;
    char *text = malloc(LOG_SIZE);
    for (int i = 0; text && size == 0 && i < 3; i++) size = copy_log(log, text);
    munmap(log, sizeof *log);
    lua_pushlstring(L, text ? text : "", size);
    free(text);
    return 1;
}

static const luaL_Reg functions[] = {{"named_directory", named_directory},
                                     {"named_listen", named_listen},
                                     {"named_lives", named_lives},
                                     {"named_unlink", named_unlink},
                                     {"named_rmdir", named_rmdir},
                                     {"named_identity", named_identity},
                                     {"named_write", named_write},
                                     {"named_protect", named_protect},
                                     {"named_connect", named_connect},
                                     {"memfd", new_memfd},
                                     {NULL, NULL}};

void nsL_open_named(lua_State *L) {
    nsL_setfuncs(L, functions);
    lua_pushinteger(L, (lua_Integer)protocol());
    lua_setfield(L, -2, "protocol");
    lua_pushinteger(L, (lua_Integer)sizeof(struct log));
    lua_setfield(L, -2, "log_size");
}
