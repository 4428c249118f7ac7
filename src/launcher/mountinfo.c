/* What mountinfo tells (proc_pid_mountinfo(5)), and other texts of /proc. */
#include "mountinfo.h"

#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/mman.h>

#include "places.h"
#include "sys.h"

long add_text(char *to, size_t room, size_t *n, const char *text) {
    for (; *text; text++) {
        if (*n + 1 >= room) return -E2BIG;
        to[(*n)++] = *text;
    }
    to[*n] = 0;
    return 0;
}

long read_text(const char *path, char *to, size_t room) {
    long fd = sys(__NR_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC), r = 0;
    if (FAILED(fd)) return fd;
    size_t n = 0;
    while (n + 1 < room && !FAILED(r = sys(__NR_read, fd, to + n, room - 1 - n)) && r > 0) n += (size_t)r;
    sys(__NR_close, fd);
    to[n] = 0;
    return FAILED(r) ? r : r > 0 ? -E2BIG : 0;
}

long number_at(const char *s) {
    unsigned long n = 0;
    while (*s == ' ' || *s == '\t') s++;
    for (; *s >= '0' && *s <= '9'; s++) n = n * 10 + (unsigned long)(*s - '0');
    return (long)n;
}

/* The n-th field of a line, from 1. */
const char *field(const char *line, int n) {
    while (--n > 0) {
        while (*line && *line != ' ' && *line != '\n') line++;
        if (*line == ' ') line++;
    }
    return line;
}

int starts_with(const char *s, const char *with) {
    for (; *with; s++, with++)
        if (*s != *with) return 0;
    return 1;
}

const char *next_line(const char *line) {
    while (*line && *line != '\n') line++;
    return *line ? line + 1 : line;
}

/* Copies a path as mountinfo writes it: "\040" is a blank. */
long unescape(char *to, size_t room, size_t *n, const char *path) {
    for (; *path && *path != ' '; path++) {
        if (*n + 1 >= room) return -E2BIG;
        if (*path == '\\' && path[1] && path[2] && path[3]) {
            to[(*n)++] = (char)((path[1] - '0') * 64 + (path[2] - '0') * 8 + (path[3] - '0'));
            path += 3;
        } else {
            to[(*n)++] = *path;
        }
    }
    to[*n] = 0;
    return 0;
}

/* Does the place of this line lie below the directory? */
static int is_below(const char *line, const char *directory, size_t length) {
    char place[PATH_MAX];
    size_t n = 0;
    if (FAILED(unescape(place, sizeof place, &n, field(line, 5)))) return 0;
    if (length == 1) return n > 1; /* below "/" */
    return n > length && place[length] == '/' && starts_with(place, directory);
}

long mount_below(long fd) {
    char name[32], directory[PATH_MAX];
    long size = sys(__NR_readlinkat, AT_FDCWD, path_of(fd, name), directory, sizeof directory - 1);
    if (FAILED(size)) return size;
    directory[size] = 0;
    long at = sys(SYS_mmap, 0, TEXT_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (FAILED(at)) return at;
    char *text = (char *)at;
    long r = read_text("/proc/self/mountinfo", text, TEXT_MAX);
    for (const char *line = text; r == 0 && *line; line = next_line(line)) r = is_below(line, directory, (size_t)size);
    sys(__NR_munmap, at, TEXT_MAX);
    return r;
}
