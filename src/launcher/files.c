/* The ops that make files, directories and links in the new root. */
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/mount.h>
#include <linux/stat.h>
#include <stddef.h>

#include "files.h"
#include "old.h"
#include "ops.h"
#include "places.h"
#include "sys.h"
#include "trees.h"

/* path: a directory. mode */
long op_mkdir(struct player *p, const struct step *s) {
    long fd = place(p, plan_string(p, s->path), A_DIRECTORY, (long)s->mode);
    return FAILED(fd) ? fd : sys(__NR_close, fd);
}

/* Is there a link to data already? */
static int is_link_to(long directory, const char *name, const char *data) {
    char text[PATH_MAX];
    long n = sys(__NR_readlinkat, directory, name, text, sizeof text), i = 0;
    while (i < n && data[i] && data[i] == text[i]) i++;
    return n > 0 && i == n && !data[i];
}

/* path: a link to data; the same link may be there */
long op_symlink(struct player *p, const struct step *s) {
    char above[PATH_MAX], *name;
    const char *data = plan_string(p, s->data);
    long fd = parent_of(p, plan_string(p, s->path), above, &name);
    if (FAILED(fd)) return fd;
    long r = data ? sys(__NR_symlinkat, data, fd, name) : -EINVAL;
    if (r == -EEXIST && is_link_to(fd, name, data)) r = 0;
    sys(__NR_close, fd);
    return r;
}

/* A new file with these bytes, open; none where they cannot be written. */
static long write_file(long directory, const char *name, const char *data, uint32_t size, long mode) {
    long fd = sys(__NR_openat, directory, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, mode);
    if (FAILED(fd)) return fd;
    long r = 0;
    while (size > 0 && !FAILED(r = sys(__NR_write, fd, data, size))) data += r, size -= (uint32_t)r;
    if (!FAILED(r)) return fd;
    sys(__NR_close, fd);
    sys(__NR_unlinkat, directory, name, 0);
    return r;
}

/* A file of ours over path: made in `directory`, taken from there as a mount, and removed. */
static long cover(struct player *p, long directory, long from, const char *path, const struct step *s) {
    long tree = clone_tree(from, s->flags);
    sys(__NR_close, from);
    long r = FAILED(tree) ? tree : attach_file(p, tree, path);
    if (!FAILED(tree)) sys(__NR_close, tree);
    long removed = sys(__NR_unlinkat, directory, ".ns", 0);
    return FAILED(r) ? r : removed;
}

static long write_cover(const struct player *p, long directory, const struct step *s, long mode) {
    return write_file(directory, ".ns", plan_string(p, s->data), s->size, mode);
}

/* The new root is bindable for that moment. */
static long cover_from_root(struct player *p, long from, const char *path, const struct step *s) {
    if (p->scratch >= 0) return cover(p, p->root, from, path, s); /* one in layers is bindable */
    long r = set_propagation(p->root, MS_PRIVATE, 0);
    if (FAILED(r)) return r;
    r = cover(p, p->root, from, path, s);
    long back = set_propagation(p->root, MS_UNBINDABLE, 0);
    return FAILED(r) ? r : back;
}

/* A tmpfs that is there for that moment. */
static long cover_from_tmpfs(struct player *p, const char *path, const struct step *s, long mode) {
    long directory = old_fs("tmpfs", 0, MS_NOSUID | MS_NODEV);
    if (FAILED(directory)) return directory;
    long from = write_cover(p, directory, s, mode);
    long r = FAILED(from) ? from : cover(p, directory, from, path, s);
    sys(__NR_close, directory);
    return FAILED(r) ? r : old_close();
}

/* Any name may be taken in the new root: by an entry of a hostile root directory, too. A file without one cannot be
 * mounted. */
long cover_file(struct player *p, const char *path, const struct step *s, long mode) {
    long r = check_ours(p, root_of(p));
    long from = FAILED(r) ? r : write_cover(p, p->root, s, mode);
    if (from == -EROFS || from == -EEXIST) return cover_from_tmpfs(p, path, s, mode);
    return FAILED(from) ? from : cover_from_root(p, from, path, s);
}

/* A file of ours on the way, which has room for a path. */
static long put_file(struct player *p, const struct step *s, char *way) {
    char above[PATH_MAX], *name;
    long fd = open_place(p, way, 0);
    if (!FAILED(fd)) {
        sys(__NR_close, fd);
        return cover_file(p, way, s, (long)s->mode);
    }
    if (fd != -ENOENT) return fd;
    fd = parent_of(p, way, above, &name);
    if (FAILED(fd)) return fd;
    long file = write_file(fd, name, plan_string(p, s->data), s->size, (long)s->mode);
    sys(__NR_close, fd);
    return FAILED(file) ? file : sys(__NR_close, file);
}

/* path: a file with the bytes data; at the end of a link, where that leads. mode; flags: MOUNT_ATTR_*, if it covers
 * another */
long op_file(struct player *p, const struct step *s) {
    char way[PATH_MAX];
    long r = -EINVAL, followed = s->path != 0;
    if (s->path) copy_path(way, plan_string(p, s->path));
    for (int links = 0; links < LINKS_MAX && followed > 0; links++) {
        char *end = way;
        r = put_file(p, s, way);
        while (*end) end++;
        followed = r == -EEXIST || r == -EROFS ? follow(p, way, end) : 0;
    }
    return FAILED(followed) ? followed : followed > 0 ? -ELOOP : r;
}
