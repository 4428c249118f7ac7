/* The numbers that the process behind a pidfd has, and what follows from them. */
#include "numbers.h"

#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static int count_of(char *list) {
    int count = 0;
    for (char *next, *at = strtok_r(list, " \t\n", &next); at; at = strtok_r(NULL, " \t\n", &next)) count++;
    return count;
}

struct numbers ns_read_numbers(FILE *f) {
    char line[512]; /* there are 33 of them at the most */
    struct statfs fs;
    struct numbers n = {0, 1, ESRCH};
    bool known = fstatfs(fileno(f), &fs) < 0;
    if (known) n.error = errno;
    known = known || fs.f_type != PROC_SUPER_MAGIC;
    while (!known && fgets(line, sizeof line, f)) {
        if (sscanf(line, "Pid: %d", &n.pid) == 1) continue;
        known = strncmp(line, "NSpid:", 6) == 0;
        if (known) n.count = count_of(line + 6);
    }
    if (!known && ferror(f)) n.error = errno;
    return n;
}

static struct numbers numbers_in(const char *path) {
    FILE *f = fopen(path, "re");
    if (!f) return (struct numbers){.count = 1, .error = errno};
    struct numbers n = ns_read_numbers(f);
    fclose(f);
    return n;
}

struct numbers ns_numbers_of(int pidfd) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
    return numbers_in(path);
}

pid_t ns_proc_pid(int pidfd) { return ns_numbers_of(pidfd).pid; }

bool ns_is_ourself(int pidfd) {
    struct numbers n = ns_numbers_of(pidfd), own = numbers_in("/proc/self/status");
    struct pidfd_info info = {0};
    if (n.pid > 0 && own.pid > 0) return n.pid == own.pid;
    return n.pid == 0 && ioctl(pidfd, PIDFD_GET_INFO, &info) == 0 && info.tgid == (uint32_t)getpid();
}

/* pidfd_send_signal(2) takes a directory of /proc as well. */
static bool is_directory(int fd) {
    struct stat s;
    return fstat(fd, &s) < 0 || S_ISDIR(s.st_mode);
}

bool ns_may_be_inside(int pidfd) {
    struct numbers n = ns_numbers_of(pidfd), own = numbers_in("/proc/self/status");
    if (n.pid > 0 && own.pid > 0) return n.count > own.count;
    return !is_directory(pidfd) && !ns_is_ourself(pidfd);
}
