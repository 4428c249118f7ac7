/* openat2(2), and a walk that does the same where a seccomp filter refuses the call. A filter cannot see the arguments
 * of openat2, which lie in memory: so systemd answers ENOSYS wherever it must check how files are opened
 * (RestrictSUIDSGID=, DynamicUser=), and some containers forbid the call.
 *
 * The walk opens each name in the directory before it, and lets the kernel follow no link: the target of a link is put
 * before the names that are still to come, and is taken for a place beneath the base. Meanwhile an enemy may rename the
 * directories on the way. To open a name is safe even so, as it leads down from the directory that we hold; but ".." of
 * a directory that was moved could lead out. So ".." is never opened: for it the walk begins again at the base, with
 * all names so far but the last. */
#include "resolve.h"

#include <asm/statfs.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <stddef.h>

#include "mountinfo.h"
#include "sys.h"
#include "text.h"

#define DIRECTORY 0040000
#define FORMAT 0170000
#define NOSYMFOLLOW 0x2000 /* ST_NOSYMFOLLOW of statvfs(3) */
#define PROC_TOP 1         /* the inode of the top of a /proc */

int is_directory(const struct statx *s) { return (s->stx_mode & FORMAT) == DIRECTORY; }

long look(long fd, struct statx *s) { return sys(__NR_statx, fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_INO, s); }

struct walk {
    long base, fd; /* fd: where it has come to */
    uint64_t flags, scope;
    const char *start;   /* of the base: ".", or "/" for an absolute path that no base holds */
    int links;           /* followed so far */
    size_t length;       /* of the names in `done` that have led to fd: "/a/b" */
    char done[PATH_MAX]; /* these names, and behind them the one that is tried */
    const char *rest;    /* points into `path`: the names that are still to come */
    char path[PATH_MAX];
};

static long begin(struct walk *w) {
    if (!FAILED(w->fd)) sys(__NR_close, w->fd);
    w->length = 0;
    return w->fd = sys(__NR_openat, w->base, w->start, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Puts a text before the names that are still to come. */
static long put_before_rest(struct walk *w, const char *says) {
    char path[PATH_MAX];
    size_t n = 0, copied = 0;
    long r = add_text(path, sizeof path, &n, says);
    if (!FAILED(r)) r = add_text(path, sizeof path, &n, w->rest);
    if (FAILED(r)) return -ENAMETOOLONG;
    w->rest = w->path;
    return add_text(w->path, sizeof w->path, &copied, path);
}

/* For "..": begins again at the base, with the last name left out. At the base itself, ".." stays there
 * (RESOLVE_IN_ROOT) or is refused (RESOLVE_BENEATH). */
static long climb(struct walk *w) {
    if (w->length == 0 && w->scope & RESOLVE_BENEATH) return -EXDEV;
    while (w->length > 0 && w->done[--w->length] != '/') continue;
    w->done[w->length] = 0;
    long r = put_before_rest(w, w->done);
    return FAILED(r) ? r : begin(w);
}

/* 0 if the text of this link is a path. A magic link, as /proc/PID/root, leads elsewhere than its text says: ELOOP. Of
 * the links in a /proc only those at its top, as "self", are plain ones. */
static long check_link(const struct walk *w, long link) {
    struct statfs64 fs;
    struct statx above;
#ifdef __NR_fstatfs64
    long r = sys(__NR_fstatfs64, link, sizeof fs, &fs);
#else
    long r = sys(__NR_fstatfs, link, &fs);
#endif
    if (!FAILED(r)) r = look(w->fd, &above);
    if (FAILED(r)) return r;
    int is_magic = fs.f_type == PROC_SUPER_MAGIC && above.stx_ino != PROC_TOP;
    return is_magic || fs.f_flags & NOSYMFOLLOW ? -ELOOP : 0;
}

/* Puts the link's target before the names to come. 1: done; 0: it is no link */
static long follow_link(struct walk *w, long link) {
    char says[PATH_MAX];
    long size = sys(__NR_readlinkat, link, "", says, sizeof says - 1);
    if (size == -ENOENT || size == -EINVAL) return 0;
    if (FAILED(size)) return size;
    says[size] = 0;
    if (w->scope & RESOLVE_NO_SYMLINKS || w->links++ == LINKS_MAX) return -ELOOP;
    long r = check_link(w, link);
    if (!FAILED(r) && *says == '/' && w->scope & RESOLVE_BENEATH) r = -EXDEV;
    if (!FAILED(r)) r = put_before_rest(w, says);
    if (!FAILED(r) && *says == '/') r = begin(w);
    return FAILED(r) ? r : 1;
}

static long check_directory(long fd) {
    struct statx s;
    long r = look(fd, &s);
    return FAILED(r) ? r : is_directory(&s) ? 0 : -ENOTDIR;
}

static long check_mount(const struct walk *w, long fd) {
    long id = mount_id(fd);
    return FAILED(id) || id != mount_id(w->fd) ? -EXDEV : 0;
}

/* Goes on to the file of this name, or follows it if it is a link. 1, or an error. What must be a directory is opened
 * as one: that triggers an automount. */
static long enter(struct walk *w, const char *name) {
    int is_last = !*w->rest, is_directory_wanted = !is_last || w->flags & O_DIRECTORY;
    uint64_t flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
    long fd = is_directory_wanted ? sys(__NR_openat, w->fd, name, flags | O_DIRECTORY) : -ENOTDIR, r = 0;
    if (fd == -ENOTDIR) {
        fd = sys(__NR_openat, w->fd, name, flags);
        if (FAILED(fd)) return fd;
        if (!(is_last && w->flags & O_NOFOLLOW)) r = follow_link(w, fd);
        if (r == 0 && is_directory_wanted) r = check_directory(fd);
    }
    if (FAILED(fd)) return fd;
    if (r == 0 && w->scope & RESOLVE_NO_XDEV) r = check_mount(w, fd);
    sys(__NR_close, r == 0 ? w->fd : fd);
    if (r != 0) return r;
    w->fd = fd;
    while (w->done[w->length]) w->length++;
    return 1;
}

static int is(const char *name, const char *other) { return starts_with(name, other) && starts_with(other, name); }

/* Takes the next name. 1: done; 0: there was none left */
static long step(struct walk *w) {
    size_t n = w->length;
    const char *name = w->done + n + 1;
    while (*w->rest == '/') w->rest++;
    if (!*w->rest) return 0;
    if (n < PATH_MAX - 1) w->done[n++] = '/';
    while (*w->rest && *w->rest != '/' && n < PATH_MAX - 1) w->done[n++] = *w->rest++;
    w->done[n] = 0;
    if (*w->rest && *w->rest != '/') return -ENAMETOOLONG;
    if (is(name, ".")) return 1;
    if (!is(name, "..") || !(w->scope & (RESOLVE_IN_ROOT | RESOLVE_BENEATH))) return enter(w, name);
    long r = climb(w);
    return FAILED(r) ? r : 1;
}

static long walk(long base, const char *path, uint64_t flags, uint64_t scope) {
    struct walk w;
    int is_free = *path == '/' && !(scope & (RESOLVE_IN_ROOT | RESOLVE_BENEATH));
    w.base = base, w.flags = flags, w.scope = scope, w.start = is_free ? "/" : ".";
    w.fd = -1, w.links = 0, w.rest = "", w.length = 0;
    long r = !*path ? -ENOENT : *path == '/' && scope & RESOLVE_BENEATH ? -EXDEV : put_before_rest(&w, path);
    if (!FAILED(r)) r = begin(&w);
    if (FAILED(r)) return r;
    while ((r = step(&w)) > 0) continue;
    if (FAILED(r) && !FAILED(w.fd)) sys(__NR_close, w.fd);
    return FAILED(r) ? r : w.fd;
}

/* openat2 says EAGAIN if it meets a ".." while something is renamed or mounted anywhere on this machine: it is tried
 * again. An enemy who renames all the time makes most tries fail, hence so many. */
long resolve(long base, const char *path, uint64_t flags, uint64_t scope) {
    struct open_how how = {flags | O_PATH | O_CLOEXEC, 0, scope | RESOLVE_NO_MAGICLINKS};
    long fd = -EAGAIN;
    for (int i = 0; i < 200000 && fd == -EAGAIN; i++) fd = sys(__NR_openat2, base, path, &how, sizeof how);
    return fd == -ENOSYS || fd == -EPERM ? walk(base, path, flags, scope) : fd;
}

long look_up(const char *path, const char *source) {
    if (!source) return sys(__NR_openat, AT_FDCWD, path, O_PATH | O_CLOEXEC);
    long top = path ? sys(__NR_openat, AT_FDCWD, source, O_PATH | O_DIRECTORY | O_CLOEXEC) : -EINVAL;
    if (FAILED(top)) return top;
    for (; *source && *path == *source; source++) path++;
    while (*path == '/') path++;
    long fd = resolve(top, *path ? path : ".", 0, RESOLVE_NO_SYMLINKS);
    sys(__NR_close, top);
    return fd;
}
