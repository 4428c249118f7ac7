/* Places: where in the new root something is to be. */
#include "places.h"

#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <stddef.h>

#include "sys.h"

#define DIRECTORY 0040000
#define FORMAT 0170000

int is_directory(const struct statx *s) { return (s->stx_mode & FORMAT) == DIRECTORY; }

long look(int fd, struct statx *s) { return sys(__NR_statx, fd, "", AT_EMPTY_PATH, STATX_TYPE, s); }

long root_of(struct player *p) {
    if (p->root < 0) p->root = (int)sys(__NR_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return p->root;
}

long open_place(struct player *p, const char *path, uint64_t flags) {
    struct open_how how = {flags | O_PATH | O_CLOEXEC, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    long root = root_of(p);
    return FAILED(root) ? root : sys(__NR_openat2, root, path, &how, sizeof how);
}

/* Notes that the file system behind a descriptor is of our making. */
void own(struct player *p, int fd) {
    struct statx s;
    if (p->owned == OWNED_MAX || FAILED(look(fd, &s))) return;
    p->own[p->owned++] = (uint64_t)s.stx_dev_major << 32 | s.stx_dev_minor;
}

int is_own(const struct player *p, int fd) {
    struct statx s;
    if (FAILED(look(fd, &s))) return 0;
    for (int i = 0; i < p->owned; i++)
        if (p->own[i] == ((uint64_t)s.stx_dev_major << 32 | s.stx_dev_minor)) return 1;
    return 0;
}

static long make(struct player *p, int parent, const char *name, enum what what, long mode) {
    if (!is_own(p, parent)) return -ENOENT;
    if (what == A_DIRECTORY) return sys(__NR_mkdirat, parent, name, mode);
    long fd = sys(__NR_openat, parent, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, mode);
    return FAILED(fd) ? fd : sys(__NR_close, fd);
}

static void copy_path(char *to, const char *path) {
    size_t n = 0;
    for (; n < PATH_MAX - 1 && path[n]; n++) to[n] = path[n];
    to[n] = 0;
}

/* Opens a place of the way there; `name`, in `parent`, is its last part. */
static long enter(struct player *p, long parent, const char *way, const char *name, enum what what, long mode) {
    long fd = open_place(p, way, 0);
    if (fd != -ENOENT) return fd;
    long r = make(p, (int)parent, name, what, mode);
    return FAILED(r) ? r : open_place(p, way, 0);
}

/* Opens the place, and makes it, with the directories above it, where it is missing. */
long place(struct player *p, const char *path, enum what what, long mode) {
    char way[PATH_MAX], *end = way;
    long fd = open_place(p, path, 0);
    if (fd != -ENOENT || !path) return fd;
    copy_path(way, path);
    fd = open_place(p, "/", O_DIRECTORY);
    while (*end && !FAILED(fd)) {
        char *name = end, *next;
        while (*name == '/') name++;
        for (end = name; *end && *end != '/';) end++;
        for (next = end; *next == '/';) next++;
        char slash = *end;
        *end = 0;
        long inner = enter(p, fd, way, name, *next ? A_DIRECTORY : what, *next ? 0755 : mode);
        *end = slash;
        if (!*next) end = next;
        sys(__NR_close, fd);
        fd = inner;
    }
    return fd;
}

/* Splits a path: its last name; the rest stays in `path`, which is "/" at least. */
static char *split(char *path) {
    char *slash = path, *end = path;
    for (; *end; end++)
        if (*end == '/' && end[1] && end[1] != '/') slash = end;
    while (end > slash + 1 && end[-1] == '/') *--end = 0;
    *slash = 0;
    return slash + 1;
}

/* Opens the directory above a place, in which something new may be made; `above` has room for a path, `name` is in it. */
long parent_of(struct player *p, const char *path, char *above, char **name) {
    if (!path || *path != '/') return -EINVAL;
    copy_path(above, path);
    *name = split(above);
    long fd = above[0] ? place(p, above, A_DIRECTORY, 0755) : open_place(p, "/", O_DIRECTORY);
    if (!FAILED(fd) && !is_own(p, (int)fd)) {
        sys(__NR_close, fd);
        return -EROFS;
    }
    return fd;
}

/* "/proc/self/fd/N" */
const char *path_of(long fd, char *to) {
    const char *prefix = "/proc/self/fd/";
    char digits[12], *end = to;
    int n = 0;
    while (*prefix) *end++ = *prefix++;
    do digits[n++] = (char)('0' + fd % 10);
    while ((fd /= 10) > 0);
    while (n > 0) *end++ = digits[--n];
    *end = 0;
    return to;
}
