/* Names of the kernel's numbers, one list for each family: to add one, add its name to its list. Names leave the prefix
 * of the family out where the family has one. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/resource.h>

#include "../plan.h"
#include "open.h"

struct constant {
    const char *name;
    int64_t value;
};

#define CLONE(name) \
    { #name, CLONE_##name }
// clang-format off: tables of names
static const struct constant clone_flags[] = {CLONE(NEWUSER),   CLONE(NEWNS),   CLONE(NEWPID),
                                              CLONE(NEWNET),    CLONE(NEWIPC),  CLONE(NEWUTS),
                                              CLONE(NEWCGROUP), CLONE(NEWTIME), {NULL, 0}};

#define MOUNT(name) \
    { #name, MS_##name }
static const struct constant mount_flags[] = {MOUNT(RDONLY), MOUNT(NOSUID),     MOUNT(NODEV),   MOUNT(NOEXEC),
                                              MOUNT(BIND),   MOUNT(REC),        MOUNT(PRIVATE), MOUNT(SLAVE),
                                              MOUNT(SHARED), MOUNT(UNBINDABLE), {NULL, 0}};

#define ATTRIBUTE(name) \
    { #name, MOUNT_ATTR_##name }
static const struct constant mount_attributes[] = {
    ATTRIBUTE(RDONLY), ATTRIBUTE(NOSUID), ATTRIBUTE(NODEV), ATTRIBUTE(NOEXEC), {NULL, 0}};

#define PR(name) \
    { #name, PR_##name }
static const struct constant prctls[] = {
    PR(SET_KEEPCAPS), PR(SET_SECUREBITS), PR(SET_NO_NEW_PRIVS), PR(SET_DUMPABLE), {NULL, 0}};

/* ours: plan.h */
#define STEP(name) \
    { #name, STEP_##name }
static const struct constant step_bits[] = {
    STEP(RECURSIVE),  STEP(OURS),      STEP(BENEATH_ROOT), STEP(NO_LINK),    STEP(LOOKED_UP),
    STEP(SAME_FILE),  STEP(ROOT_PART), STEP(ONE_MOUNT),    STEP(THROW_AWAY), STEP(USERXATTR),
    STEP(CAPS_ONLY),  STEP(CAPS_ALL),  STEP(HOSTS),        STEP(OUTLIVES),   STEP(TELLS_STOPS),
    STEP(ENDS_ALL),   STEP(ANEW),      STEP(TRIAL),        STEP(HOSTS_PROC), STEP(ROOT_LAYER),
    STEP(PART_LAYER), STEP(MKDIR),     STEP(INSIDE),       STEP(ANYWHERE),   {NULL, 0}};

#define JOB(name) \
    { #name, JOB_##name }
static const struct constant job_bits[] = {JOB(ENDS_BOX), JOB(TELLS_STOPS), JOB(COPIES), JOB(OUTLIVES), {NULL, 0}};

/* The rights of landlock(7), with their values, as headers know few of them. */
static const struct constant landlock_rights[] = {
    {"EXECUTE", 1 << 0},          {"WRITE_FILE", 1 << 1},    {"READ_FILE", 1 << 2},   {"READ_DIR", 1 << 3},
    {"REMOVE_DIR", 1 << 4},       {"REMOVE_FILE", 1 << 5},   {"MAKE_CHAR", 1 << 6},   {"MAKE_DIR", 1 << 7},
    {"MAKE_REG", 1 << 8},         {"MAKE_SOCK", 1 << 9},     {"MAKE_FIFO", 1 << 10},  {"MAKE_BLOCK", 1 << 11},
    {"MAKE_SYM", 1 << 12},        {"REFER", 1 << 13},        {"TRUNCATE", 1 << 14},   {"IOCTL_DEV", 1 << 15},
    {"RESOLVE_UNIX", 1 << 16},    {"BIND_TCP", 1 << 0},      {"CONNECT_TCP", 1 << 1}, {"BIND_UDP", 1 << 2},
    {"CONNECT_SEND_UDP", 1 << 3}, {"ABSTRACT_UNIX", 1 << 0}, {"SIGNAL", 1 << 1},      {NULL, 0}};

#define OPEN(name) \
    { #name, O_##name }
static const struct constant open_flags[] = {OPEN(RDONLY), OPEN(WRONLY), OPEN(RDWR),    OPEN(CREAT),
                                             OPEN(APPEND), OPEN(TRUNC),  OPEN(CLOEXEC), {NULL, 0}};

#define SIG(name) \
    { #name, SIG##name }
static const struct constant signals[] = {
    SIG(HUP),    SIG(INT),  SIG(QUIT),  SIG(ILL),  SIG(TRAP), SIG(ABRT), SIG(BUS),       SIG(FPE),
    SIG(KILL),   SIG(USR1), SIG(SEGV),  SIG(USR2), SIG(PIPE), SIG(ALRM), SIG(TERM),      SIG(CHLD),
    SIG(CONT),   SIG(STOP), SIG(TSTP),  SIG(TTIN), SIG(TTOU), SIG(URG),  SIG(XCPU),      SIG(XFSZ),
    SIG(VTALRM), SIG(PROF), SIG(WINCH), SIG(IO),   SIG(PWR),  SIG(SYS),  {"STKFLT", 16}, {NULL, 0}};

#define RLIMIT(name) \
    { #name, RLIMIT_##name }
static const struct constant limits[] = {
    RLIMIT(CPU),      RLIMIT(FSIZE),  RLIMIT(DATA),    RLIMIT(STACK),  RLIMIT(CORE),  RLIMIT(RSS),
    RLIMIT(NPROC),    RLIMIT(NOFILE), RLIMIT(MEMLOCK), RLIMIT(AS),     {"LOCKS", 10}, RLIMIT(SIGPENDING),
    RLIMIT(MSGQUEUE), RLIMIT(NICE),   RLIMIT(RTPRIO),  RLIMIT(RTTIME), {NULL, 0}};

#define CAP(name) \
    { #name, CAP_##name }
static const struct constant capabilities[] = {CAP(CHOWN),
                                               CAP(DAC_OVERRIDE),
                                               CAP(DAC_READ_SEARCH),
                                               CAP(FOWNER),
                                               CAP(FSETID),
                                               CAP(KILL),
                                               CAP(SETGID),
                                               CAP(SETUID),
                                               CAP(SETPCAP),
                                               CAP(LINUX_IMMUTABLE),
                                               CAP(NET_BIND_SERVICE),
                                               CAP(NET_BROADCAST),
                                               CAP(NET_ADMIN),
                                               CAP(NET_RAW),
                                               CAP(IPC_LOCK),
                                               CAP(IPC_OWNER),
                                               CAP(SYS_MODULE),
                                               CAP(SYS_RAWIO),
                                               CAP(SYS_CHROOT),
                                               CAP(SYS_PTRACE),
                                               CAP(SYS_PACCT),
                                               CAP(SYS_ADMIN),
                                               CAP(SYS_BOOT),
                                               CAP(SYS_NICE),
                                               CAP(SYS_RESOURCE),
                                               CAP(SYS_TIME),
                                               CAP(SYS_TTY_CONFIG),
                                               CAP(MKNOD),
                                               CAP(LEASE),
                                               CAP(AUDIT_WRITE),
                                               CAP(AUDIT_CONTROL),
                                               CAP(SETFCAP),
                                               CAP(MAC_OVERRIDE),
                                               CAP(MAC_ADMIN),
                                               CAP(SYSLOG),
                                               CAP(WAKE_ALARM),
                                               CAP(BLOCK_SUSPEND),
                                               CAP(AUDIT_READ),
                                               {"PERFMON", 38},
                                               {"BPF", 39},
                                               {"CHECKPOINT_RESTORE", 40},
                                               {NULL, 0}};

#define E(name) \
    { #name, name }
static const struct constant errors[] = {
    E(EPERM),           E(ENOENT),        E(ESRCH),        E(EINTR),       E(EIO),          E(ENXIO),
    E(E2BIG),           E(ENOEXEC),       E(EBADF),        E(ECHILD),      E(EAGAIN),       E(ENOMEM),
    E(EACCES),          E(EFAULT),        E(ENOTBLK),      E(EBUSY),       E(EEXIST),       E(EXDEV),
    E(ENODEV),          E(ENOTDIR),       E(EISDIR),       E(EINVAL),      E(ENFILE),       E(EMFILE),
    E(ENOTTY),          E(ETXTBSY),       E(EFBIG),        E(ENOSPC),      E(ESPIPE),       E(EROFS),
    E(EMLINK),          E(EPIPE),         E(EDOM),         E(ERANGE),      E(EDEADLK),      E(ENAMETOOLONG),
    E(ENOLCK),          E(ENOSYS),        E(ENOTEMPTY),    E(ELOOP),       E(ELIBACC),      E(ELIBBAD),
    E(EUSERS),          E(ENODATA),       E(ETIME),        E(EOVERFLOW),   E(EBADFD),       E(ESTALE),
    E(ENOTSOCK),        E(EMSGSIZE),      E(EOPNOTSUPP),   E(ENOBUFS),     E(ETIMEDOUT),    E(ECONNREFUSED),
    E(ECONNRESET),      E(EHOSTDOWN),     E(EHOSTUNREACH), E(EALREADY),    E(EINPROGRESS),  E(EDQUOT),
    E(ECANCELED),       E(ENOKEY),        E(EKEYREJECTED), E(EOWNERDEAD),  E(ENOMEDIUM),    E(EREMOTEIO),
    E(EADDRINUSE),      E(EADDRNOTAVAIL), E(ENETDOWN),     E(ENOPROTOOPT), E(EAFNOSUPPORT), E(EPROTONOSUPPORT),
    E(ESOCKTNOSUPPORT), E(EPROTO),        E(ENETUNREACH),  E(ENOTCONN),    E(EISCONN),      E(ECONNABORTED),
    E(EILSEQ),          E(EBADMSG),       E(ENONET),       E(ENOSR),       E(EDESTADDRREQ), E(ESHUTDOWN),
    E(ENOTUNIQ),        E(ETOOMANYREFS),  {NULL, 0}};

static void push_family(lua_State *L, const char *family, const struct constant *c) {
    lua_newtable(L);
    for (; c->name; c++) {
        lua_pushinteger(L, (lua_Integer)c->value);
        lua_setfield(L, -2, c->name);
    }
    lua_setfield(L, -2, family);
}

/* constants: a table of families, each name -> number */
void nsL_open_constants(lua_State *L) {
    lua_newtable(L);
    push_family(L, "clone", clone_flags);
    push_family(L, "mount", mount_flags);
    push_family(L, "mount_attr", mount_attributes);
    push_family(L, "prctl", prctls);
    push_family(L, "step", step_bits);
    push_family(L, "job", job_bits);
    push_family(L, "landlock", landlock_rights);
    push_family(L, "open", open_flags);
    push_family(L, "signal", signals);
    push_family(L, "errno", errors);
    push_family(L, "rlimit", limits);
    push_family(L, "cap", capabilities);
    lua_setfield(L, -2, "constants");
}
