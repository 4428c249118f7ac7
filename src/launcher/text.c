/* Texts without a C library: paths, and the files of /proc. */
#include "text.h"

#include <linux/errno.h>
#include <linux/fcntl.h>

#include "sys.h"

int starts_with(const char *s, const char *with) {
    for (; *with; s++, with++)
        if (*s != *with) return 0;
    return 1;
}

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

/* "/proc/self/fd/N". Some machines have no instruction to divide. */
const char *path_of(long fd, char *to) {
    static const int units[] = {1000000000, 100000000, 10000000, 1000000, 100000, 10000, 1000, 100, 10, 1};
    const char *prefix = "/proc/self/fd/";
    char *digits = to;
    while (*prefix) *digits++ = *prefix++;
    char *end = digits;
    for (int i = 0; i < 10; i++) {
        *end = '0';
        for (; fd >= units[i]; fd -= units[i]) ++*end;
        if (*end > '0' || end > digits || i == 9) end++;
    }
    *end = 0;
    return to;
}
