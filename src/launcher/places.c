/* Places: where in the new root something is to be.
 *
 * A place is an absolute path of the spec. It is looked up beneath the new root, and no symbolic link leads out of
 * that (RESOLVE_IN_ROOT). This alone is not enough where a directory of the host is bound into the root whose owner
 * is an enemy: she can rename what is in it at any time, and take the mount point of an earlier mount away.
 *
 *     bind  /home/eve  on /eve            / our tmpfs
 *     tmpfs            on /eve/box        `-- eve       eve's directory
 *     file             on /eve/box/key        |-- box   our tmpfs, until eve renames "box";
 *                                             `-- ...   then a directory of hers stands there
 *
 * The file would end up in eve's directory. So each directory that the plan mounts is noted, as a `pin`: the path
 * that the spec gives it, and a descriptor of the mount itself. What lies beneath that path later is looked up from
 * this descriptor, wherever the path leads by then. Of several such mounts the last counts, as it lies on top.
 *
 * Fixed: the way to /eve leads through our own tmpfs alone, where nobody else can change anything. Such a pin has no
 * descriptor: looking it up from the root is as good, and a root of many parts would take many descriptors.
 *
 * Covered: a mount on /eve, or on any other path that a symbolic link may lead from, that comes after the one on
 * /eve/box can hide it. Then what is found from the descriptor must be the same file as what is found from the root,
 * or the step is refused (ESTALE): else it would do its work where the program never sees it. */
#include "places.h"

#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <stddef.h>

#include "sys.h"

static uint64_t device(const struct statx *s) { return (uint64_t)s->stx_dev_major << 32 | s->stx_dev_minor; }

long compare(long a, long b) {
    struct statx s, t;
    long r = look(a, &s);
    if (FAILED(r)) return r;
    r = look(b, &t);
    if (FAILED(r)) return r;
    return device(&s) == device(&t) && s.stx_ino == t.stx_ino;
}

int is_same(long a, long b) { return compare(a, b) == 1; }

long root_of(struct player *p) {
    if (p->root < 0) p->root = (int)sys(__NR_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return p->root;
}

/* ---- mounts that later places are looked up beneath ---- */

/* What of path lies beneath mount; NULL if it does not. */
static const char *beneath(const char *mount, const char *path) {
    for (; *mount; mount++, path++)
        if (*mount != *path) return 0;
    return !*path || *path == '/' ? path : 0;
}

/* The last mount above a path; NULL if there is none, or it is fixed. */
static const struct pin *pin_above(const struct player *p, const char *path, int *covered) {
    int i = p->pinned;
    while (--i >= 0)
        if (beneath(p->pins[i].path, path)) break;
    *covered = 0;
    for (int j = i + 1; i >= 0 && j < p->pinned; j++)
        if (!beneath(p->pins[i].path, p->pins[j].path)) *covered = 1;
    return i < 0 || p->pins[i].fd < 0 ? 0 : &p->pins[i];
}

/* Is the way to a place fixed? To be asked before something is mounted there: that would be no part of our root. */
int is_fixed(struct player *p, const char *path) {
    if (p->scratch >= 0 || FAILED(check_ours(p, root_of(p)))) return 0; /* the layers of a root are not ours alone */
    long fd = resolve(p->root, path, 0, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
    return !FAILED(fd) && !FAILED(sys(__NR_close, fd));
}

long pin(struct player *p, const char *path, long mount, int fixed) {
    long fd = fixed ? -1 : sys(__NR_fcntl, mount, F_DUPFD_CLOEXEC, 3);
    if (FAILED(fd) && !fixed) return fd;
    p->pins[p->pinned++] = (struct pin){path, (int)fd};
    return 0;
}

void unpin(struct player *p) {
    for (; p->pinned > 0; p->pinned--)
        if (p->pins[p->pinned - 1].fd >= 0) sys(__NR_close, p->pins[p->pinned - 1].fd);
}

static long open_in_root(struct player *p, const char *path, uint64_t flags) {
    long root = root_of(p);
    return FAILED(root) ? root : resolve(root, path, flags, RESOLVE_IN_ROOT);
}

long open_place(struct player *p, const char *path, uint64_t flags) {
    int covered;
    if (!path) return -EINVAL;
    const struct pin *mount = pin_above(p, path, &covered);
    if (!mount) return open_in_root(p, path, flags);
    const char *rest = beneath(mount->path, path);
    while (*rest == '/') rest++;
    long fd = resolve(mount->fd, *rest ? rest : ".", flags, RESOLVE_BENEATH);
    if (fd == -EXDEV)
        return open_in_root(p, path, flags); /* an absolute link, or "..", in that mount: both mean the root */
    if (FAILED(fd) || !covered) return fd;
    long seen = open_in_root(p, path, flags);
    int same = !FAILED(seen) && is_same(seen, fd);
    if (!FAILED(seen)) sys(__NR_close, seen);
    if (same) return fd;
    sys(__NR_close, fd);
    return FAILED(seen) && seen != -ENOENT ? seen : -ESTALE;
}

/* ---- file systems of our making ---- */

/* In the number of a device: what is made there is kept, so a step must ask for it. */
#define KEPT (1ull << 63)

long note_ours(struct player *p, long fd) {
    struct statx s;
    long r = look(fd, &s);
    if (!FAILED(r)) p->devices[p->device_count++] = device(&s);
    return r;
}

long note_kept(struct player *p, long fd) {
    long r = note_ours(p, fd);
    if (!FAILED(r)) p->devices[p->device_count - 1] |= KEPT;
    return r;
}

long check_ours(const struct player *p, long fd) {
    struct statx s;
    long r = FAILED(fd) ? fd : look(fd, &s);
    if (FAILED(r)) return r;
    uint64_t kept = step_of(p)->how & STEP_MKDIR ? KEPT : 0;
    for (int i = 0; i < p->device_count; i++)
        if (p->devices[i] == device(&s) || p->devices[i] == (device(&s) | kept)) return 0;
    return -EROFS;
}

/* May something be made in this directory? */
static long check_room(const struct player *p, long fd) {
    return step_of(p)->how & STEP_ANYWHERE ? FAILED(fd) ? fd : 0 : check_ours(p, fd);
}

static long make(struct player *p, long parent, const char *name, enum what what, long mode) {
    long r = check_room(p, parent);
    if (FAILED(r)) return r;
    if (what == A_DIRECTORY) return sys(__NR_mkdirat, parent, name, mode);
    long fd = sys(__NR_openat, parent, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, mode);
    return FAILED(fd) ? fd : sys(__NR_close, fd);
}

/* ---- places that may be missing ---- */

void copy_path(char *to, const char *path) {
    size_t n = 0;
    for (; n < PATH_MAX - 1 && path[n]; n++) to[n] = path[n];
    to[n] = 0;
}

static size_t append(char *to, size_t n, const char *text) {
    for (; n < PATH_MAX && *text; text++) to[n++] = *text;
    return n;
}

/* In `way`, the part up to `end` is a link that leads to what is missing: the way goes on from there. 0: it is no
 * link. */
long follow(struct player *p, char *way, char *end) {
    char text[PATH_MAX], longer[PATH_MAX + 1], slash = *end, *name = end;
    *end = 0;
    long fd = open_place(p, way, O_NOFOLLOW), r = fd;
    *end = slash;
    if (!FAILED(fd)) {
        r = sys(__NR_readlinkat, fd, "", text, sizeof text - 1);
        sys(__NR_close, fd);
    }
    if (FAILED(r)) return 0;
    text[r] = 0;
    while (name > way && name[-1] != '/') name--;
    size_t n = text[0] == '/' ? 0 : (size_t)(name - way);
    copy_path(longer, way);
    n = append(longer, append(longer, n, text), end);
    if (n >= PATH_MAX) return -ENAMETOOLONG;
    longer[n] = 0;
    copy_path(way, longer);
    return 1;
}

/* Opens a place of the way there; `name`, in `parent`, is its last part. */
static long enter(struct player *p, long parent, const char *way, const char *name, enum what what, long mode) {
    long fd = open_place(p, way, 0);
    if (fd != -ENOENT) return fd;
    long r = make(p, parent, name, what, mode);
    return FAILED(r) ? r : open_place(p, way, 0);
}

/* Opens the place at the end of `way`, and makes what is missing on it. *end: how far it has come */
static long walk(struct player *p, char *way, enum what what, long mode, char **end) {
    long fd = open_place(p, "/", O_DIRECTORY);
    for (*end = way; **end && !FAILED(fd);) {
        char *name = *end, *next;
        while (*name == '/') name++;
        for (*end = name; **end && **end != '/';) ++*end;
        for (next = *end; *next == '/';) next++;
        char slash = **end;
        **end = 0;
        long inner = enter(p, fd, way, name, *next ? A_DIRECTORY : what, *next ? 0755 : mode);
        **end = slash;
        sys(__NR_close, fd);
        fd = inner;
        if (!*next) break;
    }
    return fd;
}

/* Opens the place, and makes it, with the directories above it, where it is missing: at the end of a link, where that
 * leads. */
long place(struct player *p, const char *path, enum what what, long mode) {
    char way[PATH_MAX], *end;
    long fd = open_place(p, path, what == A_DIRECTORY ? O_DIRECTORY : 0), r = 1;
    if (fd != -ENOENT || !path) return fd;
    copy_path(way, path);
    for (int links = 0; links < LINKS_MAX && r > 0; links++) {
        fd = walk(p, way, what, mode, &end);
        r = fd == -EEXIST || fd == -EROFS ? follow(p, way, end) : 0;
    }
    return FAILED(r) ? r : r > 0 ? -ELOOP : fd;
}

/* Splits a path: its last name; the rest stays in `path`, which is empty for the root. */
static char *split(char *path) {
    char *slash = path, *end = path;
    for (; *end; end++)
        if (*end == '/' && end[1] && end[1] != '/') slash = end;
    while (end > slash + 1 && end[-1] == '/') *--end = 0;
    *slash = 0;
    return slash + 1;
}

/* Opens the directory above a place, in which something new may be made; `above` has room for a path, `name` is in
 * it. */
long parent_of(struct player *p, const char *path, char *above, char **name) {
    if (!path || *path != '/') return -EINVAL;
    copy_path(above, path);
    *name = split(above);
    long fd = above[0] ? place(p, above, A_DIRECTORY, 0755) : open_place(p, "/", O_DIRECTORY);
    long r = check_room(p, fd);
    if (!FAILED(r)) return fd;
    if (!FAILED(fd)) sys(__NR_close, fd);
    return r;
}
