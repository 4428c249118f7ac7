/* What a program sees of itself, one "key value" a line. It is static and needs no file but /proc, of which descriptor 9 is a
 * directory of the host's: in it, "self" is this process in every namespace. */
#define _GNU_SOURCE
#include <dirent.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { PROC = 9 };

static char text[1 << 16];

static const char *proc_file(const char *name) {
    int fd = openat(PROC, name, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    text[n < 0 ? 0 : n] = 0;
    return text;
}

static void ids(void) {
    uid_t r, e, s;
    gid_t groups[64];
    getresuid(&r, &e, &s);
    printf("uid %u %u %u\n", r, e, s);
    getresgid(&r, &e, &s);
    printf("gid %u %u %u\n", r, e, s);
    int count = getgroups(64, groups);
    printf("groups");
    for (int i = 0; i < count; i++) printf(" %u", groups[i]);
    printf("\n");
}

static void status(void) {
    static const char *wanted[] = {"CapInh", "CapPrm",     "CapEff",  "CapBnd",    "CapAmb",
                                   "NoNewPrivs", "SigBlk", "SigIgn", "ShdPnd", "Seccomp"};
    const char *s = proc_file("self/status");
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        const char *at = strstr(s, wanted[i]);
        if (at) printf("%s %.*s\n", wanted[i], (int)strcspn(at + strlen(wanted[i]) + 2, "\n"), at + strlen(wanted[i]) + 2);
    }
    printf("securebits %d\n", prctl(PR_GET_SECUREBITS));
    int signal = 0;
    prctl(PR_GET_PDEATHSIG, &signal);
    printf("pdeathsig %d\n", signal);
    printf("dumpable %d\n", prctl(PR_GET_DUMPABLE));
}

static void namespaces(void) {
    static const char *kinds[] = {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"};
    for (int i = 0; i < 8; i++) {
        char path[32], link[64] = {0};
        snprintf(path, sizeof path, "self/ns/%s", kinds[i]);
        if (readlinkat(PROC, path, link, sizeof link - 1) > 0) printf("ns.%s %s\n", kinds[i], link);
    }
}

/* "target type options": the first eleven fields of a mountinfo line say too much. */
static void mounts(void) {
    char *rest = text;
    proc_file("self/mountinfo");
    for (char *line; (line = strsep(&rest, "\n")) && *line;) {
        char target[512], options[256], type[64], *dash = strstr(line, " - ");
        if (!dash || sscanf(line, "%*s %*s %*s %*s %511s %255s", target, options) != 2) continue;
        if (sscanf(dash + 3, "%63s", type) == 1) printf("mount.%s %s %s\n", target, type, options);
    }
}

static void limits(void) {
    for (int i = 0; i < 16; i++) {
        struct rlimit l;
        getrlimit(i, &l);
        printf("rlimit.%d %lld %lld\n", i, (long long)l.rlim_cur, (long long)l.rlim_max);
    }
    unsigned char cpus[1024] = {0};
    long size = syscall(SYS_sched_getaffinity, 0, sizeof cpus, cpus);
    printf("affinity");
    for (int i = 0; i < size * 8; i++)
        if (cpus[i / 8] >> i % 8 & 1) printf(" %d", i);
    struct sched_param p = {0};
    sched_getparam(0, &p);
    printf("\nnice %d\nscheduler %d %d\n", getpriority(PRIO_PROCESS, 0), sched_getscheduler(0), p.sched_priority);
    printf("ioprio %ld\n", syscall(SYS_ioprio_get, 1, 0));
    printf("personality %d\n", personality(0xffffffff));
    printf("oom_score_adj %s", proc_file("self/oom_score_adj"));
    printf("max_userns %s", proc_file("sys/user/max_user_namespaces"));
}

static void descriptors(void) {
    int fds[64], count = 0, listing = openat(PROC, "self/fd", O_RDONLY | O_DIRECTORY);
    DIR *d = fdopendir(listing);
    for (struct dirent *e; d && (e = readdir(d)) && count < 64;)
        if (e->d_name[0] != '.' && atoi(e->d_name) != listing) fds[count++] = atoi(e->d_name);
    if (d) closedir(d);
    printf("fds");
    for (int n = 0; n < 1024; n++)
        for (int i = 0; i < count; i++)
            if (fds[i] == n) printf(" %d", n);
    printf("\n");
}

static void process(void) {
    struct utsname u;
    char cwd[4096] = "";
    mode_t mask = umask(0);
    uname(&u);
    printf("hostname %s\ndomainname %s\numask %o\n", u.nodename, u.domainname, mask);
    printf("cwd %s\n", getcwd(cwd, sizeof cwd) ? cwd : "-");
    printf("pid1 %d\nleader %d\n", getpid() == 1, getsid(0) == getpid());
    int tty = open("/dev/tty", O_RDWR | O_NOCTTY);
    printf("tty %d\n", tty >= 0 && isatty(0));
    if (tty >= 0) close(tty);
    printf("keyring %ld\n", syscall(SYS_keyctl, 0 /* GET_KEYRING_ID */, -3 /* session */, 0));
    struct ifreq lo = {.ifr_name = "lo"};
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    printf("loopback %d\n", s >= 0 && ioctl(s, SIOCGIFFLAGS, &lo) == 0 && lo.ifr_flags & IFF_UP ? 1 : 0);
    struct ifreq all[32];
    struct ifconf found = {.ifc_len = sizeof all, .ifc_req = all};
    if (s < 0 || ioctl(s, SIOCGIFCONF, &found)) found.ifc_len = 0;
    for (size_t i = 0; i < (size_t)found.ifc_len / sizeof all[0]; i++)
        printf("address.%s/%s 1\n", all[i].ifr_name, inet_ntoa(((struct sockaddr_in *)&all[i].ifr_addr)->sin_addr));
    close(s);
    printf("setns %d\n", syscall(SYS_setns, -1, 0) < 0 ? errno : 0);
    int comm = openat(PROC, "self/comm", O_WRONLY);
    printf("comm %d\n", comm < 0 ? errno : 0);
    if (comm >= 0) close(comm);
    for (char *o = (char *)proc_file("self/timens_offsets"), *line; (line = strsep(&o, "\n")) && *line;) {
        char clock[16];
        long long seconds, nanoseconds;
        if (sscanf(line, "%15s %lld %lld", clock, &seconds, &nanoseconds) == 3)
            printf("time.%s %lld.%09lld\n", clock, seconds, nanoseconds);
    }
}

int main(int argc, char **argv, char **envp) {
    ids();
    status();
    namespaces();
    mounts();
    limits();
    descriptors();
    process();
    for (int i = 0; i < argc; i++) printf("argv.%d %s\n", i, argv[i]);
    for (int i = 0; envp[i]; i++) {
        char *value = strchr(envp[i], '=');
        if (value) printf("env.%.*s %s\n", (int)(value - envp[i]), envp[i], value + 1);
    }
    return 0;
}
