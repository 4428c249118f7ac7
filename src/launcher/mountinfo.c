#include "mountinfo.h"

#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/mman.h>
#include <linux/stat.h>

#include "sys.h"
#include "text.h"

const char *field(const char *line, int n) {
    while (--n > 0) {
        while (*line && *line != ' ' && *line != '\n') line++;
        if (*line == ' ') line++;
    }
    return line;
}

const char *next_line(const char *line) {
    while (*line && *line != '\n') line++;
    return *line ? line + 1 : line;
}

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

/* From fdinfo: before Linux 5.8. */
static long told_mount_id(long fd) {
    char name[32], path[64], text[512];
    size_t n = 0;
    path_of(fd, name);
    add_text(path, sizeof path, &n, "/proc/self/fdinfo/");
    add_text(path, sizeof path, &n, name + sizeof "/proc/self/fd/" - 1);
    long r = read_text(path, text, sizeof text);
    for (char *line = text; !FAILED(r) && *line; line++)
        if ((line == text || line[-1] == '\n') && starts_with(line, "mnt_id:")) return number_at(line + 7);
    return FAILED(r) ? r : -EINVAL;
}

/* Before Linux 5.14 whoever has changed its ids may not open its own fdinfo any more: so that is not what is asked
 * first. */
long mount_id(long fd) {
    struct statx s;
    long r = sys(__NR_statx, fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &s);
    return !FAILED(r) && s.stx_mask & STATX_MNT_ID ? (long)s.stx_mnt_id : told_mount_id(fd);
}

/* Does the place of this line lie below the directory? */
static int is_below(const char *line, const char *directory, size_t length) {
    char path[PATH_MAX];
    size_t n = 0;
    if (FAILED(unescape(path, sizeof path, &n, field(line, 5)))) return 0;
    if (length == 1) return n > 1; /* below "/" */
    return n > length && path[length] == '/' && starts_with(path, directory);
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
