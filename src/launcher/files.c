/* The ops that make files, directories and links in the new root. */
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/mount.h>
#include <stddef.h>

#include "ops.h"
#include "places.h"
#include "sys.h"

/* path: a directory. mode */
long op_mkdir(struct player *p, const struct step *s) {
    long fd = place(p, plan_string(p, s->path), A_DIRECTORY, s->mode);
    return FAILED(fd) ? fd : sys(__NR_close, fd);
}

/* path: a link to data */
long op_symlink(struct player *p, const struct step *s) {
    char above[PATH_MAX], *name;
    long fd = parent_of(p, plan_string(p, s->path), above, &name);
    if (FAILED(fd)) return fd;
    long r = sys(__NR_symlinkat, plan_string(p, s->data), fd, name);
    sys(__NR_close, fd);
    return r;
}

static long write_file(int directory, const char *name, const char *data, uint32_t size, long mode) {
    long fd = sys(__NR_openat, directory, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, mode);
    if (FAILED(fd)) return fd;
    long r = 0;
    while (size > 0 && !FAILED(r = sys(__NR_write, fd, data, size))) data += r, size -= (uint32_t)r;
    sys(__NR_close, fd);
    return FAILED(r) ? r : 0;
}

/* A file of ours over one that is there: made in the new root, taken as a mount, and its name removed again. */
long cover_file(struct player *p, const char *path, const struct step *s, long mode) {
    const char *name = ".ns";
    if (!is_own(p, (int)root_of(p))) return -EROFS;
    long r = write_file(p->root, name, plan_string(p, s->data), s->size, mode);
    if (FAILED(r)) return r;
    long tree = sys(__NR_open_tree, p->root, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    r = FAILED(tree) ? tree : set_attributes((int)tree, s->flags, 0, 0);
    if (!FAILED(r)) r = attach(p, tree, path);
    sys(__NR_unlinkat, p->root, name, 0);
    return r;
}

/* path: a file with the bytes data. mode; flags: MOUNT_ATTR_*, if it covers another */
long op_file(struct player *p, const struct step *s) {
    char above[PATH_MAX], *name;
    const char *path = plan_string(p, s->path);
    long fd = open_place(p, path, 0);
    if (!FAILED(fd)) {
        sys(__NR_close, fd);
        return cover_file(p, path, s, s->mode);
    }
    fd = parent_of(p, path, above, &name);
    if (FAILED(fd)) return fd;
    long r = write_file((int)fd, name, plan_string(p, s->data), s->size, s->mode);
    sys(__NR_close, fd);
    return r;
}
