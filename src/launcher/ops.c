/* The ops: one function and one row of ns_ops[] for each, close to the system call of the same name. The comment above
 * a function lists the fields of the step that it uses.
 *
 * To add an op: write its function, here or in the file of its subject (ops.h), and its row below. The step that uses
 * it is made in lua/ns/words/options.lua, and how an error message names it stands in lua/ns/start/errors.lua. No other
 * file needs to know. */
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mount.h>
#include <linux/prctl.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <linux/wait.h>
#include <stddef.h>

#include "fds.h"
#include "message.h"
#include "mountinfo.h"
#include "numbers.h"
#include "old.h"
#include "ops.h"
#include "player.h"
#include "resolve.h"
#include "sys.h"
#include "text.h"
#include "trees.h"

/* path, source, type, flags, data: mount(2) */
static long op_mount(struct player *p, const struct step *s) {
    return sys(__NR_mount, plan_string(p, s->source), plan_string(p, s->path), plan_string(p, s->type), s->flags,
               plan_string(p, s->data));
}

static long write_to(long fd, const struct player *p, const struct step *s) {
    if (FAILED(fd)) return fd;
    long n = sys(__NR_write, fd, plan_string(p, s->data), s->size);
    sys(__NR_close, fd);
    return FAILED(n) ? n : (uint32_t)n == s->size ? 0 : -EIO;
}

/* A path of /proc, below a descriptor for that. */
static long open_in(long proc, const struct player *p, const struct step *s, int flags) {
    const char *path = plan_string(p, s->path);
    if (!path || !starts_with(path, "/proc/")) return -EINVAL;
    return sys(__NR_openat, proc, path + sizeof "/proc", flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

static long open_path(const struct player *p, const struct step *s, int flags) {
    if (s->how & STEP_HOSTS_PROC) return open_in(s->fd, p, s, flags);
    return sys(__NR_openat, AT_FDCWD, plan_string(p, s->path), flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

/* path (how: HOSTS_PROC, with fd); or, without a path, fd, which is closed then. data. With one write(2): files of
 * /proc take their value whole. */
static long op_write(struct player *p, const struct step *s) {
    return write_to(s->path ? open_path(p, s, O_WRONLY) : s->fd, p, s);
}

/* path: below /proc/sys; data; how: HOSTS_PROC, with fd. Where /proc lacks it (subset=pid) or is read-only, it is
 * written through a new /proc, mounted for this step alone: not where others live, in a mount namespace that is not
 * ours. */
static long op_sysctl(struct player *p, const struct step *s) {
    long r = op_write(p, s);
    if (s->how & STEP_HOSTS_PROC || (r != -ENOENT && r != -EROFS)) return r;
    long proc = old_fs("proc", 0, MS_NOSUID | MS_NODEV | MS_NOEXEC);
    if (FAILED(proc)) return r;
    r = write_to(open_in(proc, p, s, O_WRONLY), p, s);
    sys(__NR_close, proc);
    long closed = old_close();
    return FAILED(r) ? r : closed;
}

/* data */
static long op_sethostname(struct player *p, const struct step *s) {
    return sys(__NR_sethostname, plan_string(p, s->data), s->size);
}

/* data */
static long op_setdomainname(struct player *p, const struct step *s) {
    return sys(__NR_setdomainname, plan_string(p, s->data), s->size);
}

/* flags: CLONE_NEW* */
static long op_unshare(struct player *p, const struct step *s) {
    (void)p;
    return sys(__NR_unshare, s->flags);
}

/* path of a namespace (how: HOSTS_PROC, with fd); or, without a path, fd, which is closed then. flags: its
 * CLONE_NEW* */
static long op_setns(struct player *p, const struct step *s) {
    long fd = s->path ? open_path(p, s, O_RDONLY) : s->fd;
    if (FAILED(fd)) return fd;
    long r = sys(__NR_setns, fd, s->flags);
    sys(__NR_close, fd);
    return r;
}

/* flags: CLONE_NEW*. Makes the process that plays the next plan, in the namespaces that we have entered and in these
 * new ones: an entered pid namespace takes effect only for children. CLONE_PARENT: it is a child of the host, as we
 * are. We send its pid and pidfd, and exit. */
static long op_clone(struct player *p, const struct step *s) {
    int pidfd = -1;
    long pid = sys(__NR_clone, s->flags | CLONE_PARENT | CLONE_PIDFD | SIGCHLD, 0, &pidfd, 0, 0);
    if (FAILED(pid)) return pid;
    if (pid == 0) {
        sys(__NR_umask, p->umask);
        sys(__NR_munmap, p->plan, p->mapped);
        p->next = p->socket;
        return 0;
    }
    struct record r = {LAUNCHER_CLONED, (int32_t)pid};
    long sent = send_message(p->socket, &r, sizeof r, &pidfd, 1);
    /* ETOOMANYREFS: too many descriptors are in flight. Then the host opens a pidfd itself. */
    if (FAILED(sent)) send_message(p->socket, &r, sizeof r, 0, 0);
    for (;;) sys(__NR_exit_group, 0);
}

/* value: the signal that the kernel sends us when the host ends. If it has ended before this call, no signal comes; but
 * then its end of the socket is closed, and we exit. (getppid(2) is no help: in a new pid namespace it is 0 from the
 * start.) */
static long op_pdeathsig(struct player *p, const struct step *s) {
    char byte;
    long r = sys(__NR_prctl, PR_SET_PDEATHSIG, s->value);
    if (!FAILED(r) && sys(__NR_recvfrom, p->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) sys(__NR_exit_group, 127);
    return r;
}

/* value: the mask; how: HOSTS. Before this step the mask is 0, so that files get just the mode that their step says. */
static long op_umask(struct player *p, const struct step *s) {
    sys(__NR_umask, s->how & STEP_HOSTS ? p->umask : s->value);
    return 0;
}

/* path. The directory must lie beneath the root: for one outside, which a magic link may lead to, getcwd(2) says
 * "(unreachable)", and EXDEV is returned. */
static long op_chdir(struct player *p, const struct step *s) {
    char cwd[4096];
    long r = sys(__NR_chdir, plan_string(p, s->path));
    if (FAILED(r)) return r;
    r = sys(__NR_getcwd, cwd, sizeof cwd);
    if (r == -ENAMETOOLONG || r == -ERANGE) return 0; /* too long a path for us, but it is beneath the root */
    return FAILED(r) ? r : cwd[0] == '/' ? 0 : -EXDEV;
}

/* Brings the loopback interface up: in a new net namespace it is down. */
static long op_loopback(struct player *p, const struct step *s) {
    (void)p, (void)s;
    struct { /* as struct ifreq, whose header needs a C library */
        char name[16];
        short flags;
        char rest[22];
    } lo = {.name = "lo"};
    long fd = sys(__NR_socket, AF_INET, SOCK_DGRAM | O_CLOEXEC, 0);
    if (FAILED(fd)) return fd;
    long r = sys(__NR_ioctl, fd, SIOCGIFFLAGS, &lo);
    lo.flags |= IFF_UP;
    if (!FAILED(r)) r = sys(__NR_ioctl, fd, SIOCSIFFLAGS, &lo);
    sys(__NR_close, fd);
    return r;
}

/* path, source: opened now, as descriptor `to`, for a later step, which is played in another root. how: ONE_MOUNT. If
 * it is missing and may be (ignore), `to` becomes a duplicate of our socket, so that no other file gets that number. */
static long op_lookup(struct player *p, const struct step *s) {
    long fd = look_up(plan_string(p, s->path), plan_string(p, s->source));
    if (FAILED(fd) && s->ignore && fd == -(long)s->ignore) return not_ignored(dup_to(p, p->socket, s->to, O_CLOEXEC));
    if (FAILED(fd)) return fd;
    long r = s->how & STEP_ONE_MOUNT ? mount_below(fd) : 0;
    r = r > 0 ? -EINVAL : FAILED(r) ? r : dup_to(p, (int)fd, s->to, O_CLOEXEC);
    if (fd != s->to) sys(__NR_close, fd);
    return not_ignored(r);
}

/* Is this an error after which the next directory of PATH is tried? Those of execvp(3), and that a path is too long. */
static int next_candidate(long error) {
    return error == -ENOENT || error == -ENOTDIR || error == -EACCES || error == -ESTALE || error == -ENODEV ||
           error == -ETIMEDOUT || error == -ENAMETOOLONG;
}

/* Returns only if the filter is refused, or none of the candidates can be executed; as execvp(3), with EACCES if one of
 * them gave that. */
static long execute(struct player *p, const struct step *s) {
    char **paths = plan_list(p, s->paths), **argv = plan_list(p, s->argv), **env = plan_list(p, s->env);
    long r = install_filter(p), denied = 0;
    if (FAILED(r)) return r;
    r = -ENOENT;
    for (; paths && *paths; paths++) {
        r = sys(__NR_execve, *paths, argv, env);
        if (r == -EACCES) denied = r;
        if (!next_candidate(r)) return r;
    }
    return denied ? denied : r;
}

/* The exit status of a child that cannot be traced, and of one that has reported another step than exec itself. */
enum { UNTRACED = 255, REPORTED = 254 };

/* Makes a child that executes the program, and is traced: so it stops before the program's first instruction. If the
 * program cannot be executed, the child exits with the errno. */
static long traced(struct player *p, const struct step *s) {
    long child = sys(__NR_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);
    if (child != 0) return child;
    unmask_signals();
    long r = sys(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL); /* so that it does not run on if we are killed */
    if (FAILED(r) || FAILED(sys(__NR_ptrace, PTRACE_TRACEME, 0, 0, 0))) sys(__NR_exit_group, UNTRACED);
    uint32_t step = p->plan->current;
    r = execute(p, s);
    if (p->plan->current != step) ns_report(p, -r), r = -REPORTED;
    end_process((int)-r);
}

/* Tries whether exec would work: 0, or its error. Where ptrace(2) is refused, only whether there is an executable
 * file. */
static long try_exec(struct player *p, const struct step *s) {
    int status = UNTRACED << 8;
    long child = traced(p, s), r = -ENOENT;
    while (child > 0 && sys(__NR_wait4, child, &status, __WALL, 0) == -EINTR) continue;
    /* reaped here: else the host would have to, where it is the init of its container */
    if (child > 0 && !FAILED(sys(__NR_kill, child, SIGKILL)))
        while (sys(__NR_wait4, child, 0, __WALL, 0) == -EINTR) continue;
    if (status == REPORTED << 8) end_process(127);
    if (status != UNTRACED << 8) return status & 0x7f ? 0 : -(status >> 8 & 0xff);
    for (char **paths = plan_list(p, s->paths); paths && *paths && next_candidate(r); paths++)
        r = sys(__NR_faccessat, AT_FDCWD, *paths, X_OK);
    return r;
}

/* paths: the candidates; argv, env. how: TRIAL, then we report success and exit in place of the program */
static long op_exec(struct player *p, const struct step *s) {
    long r = s->how & STEP_TRIAL ? try_exec(p, s) : 0;
    if (FAILED(r)) return r;
    unmask_signals();
    ns_report(p, 0);
    if (s->how & STEP_TRIAL) sys(__NR_exit_group, 0);
    return execute(p, s);
}

const struct op ns_ops[] = {
    {"mount", op_mount},
    {"write", op_write},
    {"sysctl", op_sysctl},
    {"sethostname", op_sethostname},
    {"setdomainname", op_setdomainname},
    {"unshare", op_unshare},
    {"setns", op_setns},
    {"setsid", op_setsid},
    {"pdeathsig", op_pdeathsig},
    {"umask", op_umask},
    {"chdir", op_chdir},
    {"setpgid", op_setpgid},
    {"foreground", op_foreground},
    {"controlling", op_controlling},
    {"loopback", op_loopback},
    {"netlink", op_netlink},
    {"dup", op_dup},
    {"close", op_close},
    {"newroot", op_newroot},
    {"hold", op_hold},
    {"fs", op_fs},
    {"tree", op_tree},
    {"overlay", op_overlay},
    {"file", op_file},
    {"mkdir", op_mkdir},
    {"symlink", op_symlink},
    {"anchor", op_anchor},
    {"mask", op_mask},
    {"remount", op_remount},
    {"propagation", op_propagation},
    {"pivot", op_pivot},
    {"setgroups", op_setgroups},
    {"setgid", op_setgid},
    {"setuid", op_setuid},
    {"bound", op_bound},
    {"caps", op_caps},
    {"prctl", op_prctl},
    {"rlimit", op_rlimit},
    {"nice", op_nice},
    {"affinity", op_affinity},
    {"scheduler", op_scheduler},
    {"ioprio", op_ioprio},
    {"personality", op_personality},
    {"keyring", op_keyring},
    {"seccomp", op_seccomp},
    {"signalfd", op_signalfd},
    {"init", op_init},
    {"landlock", op_landlock},
    {"landlock_path", op_landlock_path},
    {"landlock_port", op_landlock_port},
    {"landlock_restrict", op_landlock_restrict},
    {"exec", op_exec},
    {"lookup", op_lookup},
    {"serve", op_serve},
    {"clone", op_clone},
    {"call", op_call},
    {"pty", op_pty},
    {"chown", op_chown},
    {"connect", op_connect},
    {"trace", op_trace},
    {"listen", op_listen},
    {"route", op_route},
    {"relay", op_relay},
    {"await_local", op_await_local},
    {"wait", op_wait},
};
const uint32_t ns_op_count = sizeof ns_ops / sizeof ns_ops[0];
