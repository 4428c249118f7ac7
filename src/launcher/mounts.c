/* The ops that mount: a mount gets its attributes while nobody sees it, and is attached to the descriptor of its
 * place. */
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <stddef.h>

#include "files.h"
#include "numbers.h"
#include "old.h"
#include "ops.h"
#include "places.h"
#include "sys.h"
#include "trees.h"

#define FORMAT 0170000
#define CHARACTER_DEVICE 0020000

static long closed(long fd, long r) {
    sys(__NR_close, fd);
    return r;
}

/* A tmpfs that will be the root: mounted over the old one, which stays in reach by absolute paths until `pivot`. A bind
 * of the old "/" shall not have it on top: so it cannot be bound itself. options, flags: MOUNT_ATTR_* */
long op_newroot(struct player *p, const struct step *s) {
    long fd = old_fs("tmpfs", plan_list(p, s->options), s->flags);
    if (FAILED(fd)) return fd;
    p->root = (int)fd;
    p->below = 1;
    long r = note_ours(p, fd);
    return FAILED(r) ? r : set_propagation(fd, MS_UNBINDABLE, 0);
}

/* path: the directory of the old root, as it is now, that relative sources are looked up from */
long op_hold(struct player *p, const struct step *s) {
    long fd = sys(__NR_openat, AT_FDCWD, plan_string(p, s->path), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (FAILED(fd)) return fd;
    if (p->source_dir != AT_FDCWD) sys(__NR_close, p->source_dir);
    p->source_dir = (int)fd;
    return 0;
}

/* A file system on path. type, options, flags: MOUNT_ATTR_*; how: OURS */
long op_fs(struct player *p, const struct step *s) {
    long fd = new_fs(plan_string(p, s->type), plan_list(p, s->options), s->flags);
    if (FAILED(fd)) return fd;
    long r = s->how & STEP_OURS ? note_ours(p, fd) : 0;
    return closed(fd, FAILED(r) ? r : attach(p, fd, plan_string(p, s->path)));
}

/* Our socket has the number of what is missing, and may be (op_lookup). */
static long looked_up(struct player *p, const struct step *s) {
    long is_missing = s->ignore ? compare(s->fd, p->socket) : 0;
    return FAILED(is_missing) ? not_ignored(is_missing) : is_missing ? -ENOENT : s->fd;
}

static long open_source(struct player *p, const struct step *s) {
    const char *source = plan_string(p, s->source);
    if (s->how & STEP_LOOKED_UP) return looked_up(p, s);
    if (s->how & STEP_BENEATH_ROOT) return open_place(p, source, 0);
    if (!(s->how & STEP_NO_LINK)) return sys(__NR_openat, p->source_dir, source, O_PATH | O_CLOEXEC);
    return resolve(p->source_dir, source, 0, RESOLVE_NO_SYMLINKS);
}

/* Is it the device with this number? As it stands on a host's /dev, it may be a file that only has the name. */
static long check_device(long fd, int64_t number) {
    struct statx s;
    long r = look(fd, &s);
    if (FAILED(r)) return r;
    int same = s.stx_rdev_major == number >> 8 && s.stx_rdev_minor == (number & 0xff);
    return same && (s.stx_mode & FORMAT) == CHARACTER_DEVICE ? 0 : -ENODEV;
}

/* A part of the host's tree on path: that of `fd`, detached, or of source. flags: MOUNT_ATTR_* for all mounts in it;
 * how: BENEATH_ROOT, NO_LINK, LOOKED_UP, SAME_FILE, ROOT_PART, ROOT_LAYER; value: the device that it must be, 256 *
 * major + minor */
long op_tree(struct player *p, const struct step *s) {
    const char *path = plan_string(p, s->path);
    long (*put)(struct player *, long, const char *) = s->how & STEP_ROOT_PART    ? attach_part
                                                       : s->how & STEP_ROOT_LAYER ? attach_root
                                                                                  : attach;
    if (!s->source && !(s->how & STEP_LOOKED_UP)) {
        long r = set_attributes(s->fd, s->flags, 0, 1);
        return closed(s->fd, FAILED(r) ? r : put(p, s->fd, path));
    }
    long from = open_source(p, s);
    if (FAILED(from)) return from;
    if (s->how & STEP_SAME_FILE && !is_same(from, s->fd)) return closed(from, -ESTALE);
    long is_wrong = s->value ? check_device(from, s->value) : 0;
    if (FAILED(is_wrong)) return closed(from, is_wrong);
    long tree = closed(from, clone_tree(from, s->flags));
    return FAILED(tree) ? not_ignored(tree) : closed(tree, not_ignored(put(p, tree, path)));
}

/* path: a directory that stays where it is, with all that will be mounted below it: a mount of itself. mode: that of
 * one which is made, 0 for none. What is missing, or no directory, will be told by the step that wants something below
 * it. */
long op_anchor(struct player *p, const struct step *s) {
    const char *path = plan_string(p, s->path);
    long fd = s->mode ? place(p, path, A_DIRECTORY, (long)s->mode) : open_place(p, path, O_DIRECTORY);
    if (fd == -ENOENT || fd == -ENOTDIR || fd == -EROFS) return 0;
    if (FAILED(fd)) return fd;
    long tree = clone_tree(fd, 0);
    long r = closed(fd, FAILED(tree) ? tree : move_tree(tree, fd));
    if (FAILED(tree)) return r;
    return closed(tree, FAILED(r) ? r : pin(p, path, tree, 0));
}

/* path: hidden, under an empty directory or file that nobody can write */
long op_mask(struct player *p, const struct step *s) {
    const char *path = plan_string(p, s->path);
    struct statx status;
    long fd = open_place(p, path, 0);
    if (FAILED(fd)) return fd;
    long r = closed(fd, look(fd, &status));
    if (FAILED(r)) return r;
    if (!is_directory(&status)) return not_ignored(cover_file(p, path, s, 0444));
    char mode[] = "mode=555", size[] = "nr_inodes=1", *options[] = {mode, size, 0};
    fd = new_fs("tmpfs", options, s->flags);
    return FAILED(fd) ? fd : closed(fd, not_ignored(attach(p, fd, path)));
}

/* path: the mount there gets the attributes flags, and loses those of clear. how: RECURSIVE */
long op_remount(struct player *p, const struct step *s) {
    long fd = open_place(p, plan_string(p, s->path), 0);
    return FAILED(fd) ? fd : closed(fd, set_attributes(fd, s->flags, s->clear, s->how & STEP_RECURSIVE));
}

/* path: propagation of the mount there. flags: MS_*; how: RECURSIVE */
long op_propagation(struct player *p, const struct step *s) {
    long fd = open_place(p, plan_string(p, s->path), 0);
    return FAILED(fd) ? fd : closed(fd, set_propagation(fd, s->flags, s->how & STEP_RECURSIVE));
}

/* ---- the end ---- */

static void close_root(struct player *p) {
    int *const fds[] = {&p->root, &p->scratch, &p->upper, &p->works};
    for (int i = 0; i < 4; i++) {
        if (*fds[i] >= 0) sys(__NR_close, *fds[i]);
        *fds[i] = -1;
    }
}

/* Into the new root, out of the old one for good. That lies on the new one then, and on it whatever has lain between
 * the two: umount2(2) takes the uppermost. flags: MOUNT_ATTR_* of the root itself */
long op_pivot(struct player *p, const struct step *s) {
    long r = set_attributes(p->root, s->flags, 0, 0);
    if (!FAILED(r)) r = set_propagation(p->root, MS_PRIVATE, 0);
    if (!FAILED(r)) r = sys(__NR_fchdir, p->root);
    if (!FAILED(r)) r = sys(__NR_pivot_root, ".", ".");
    for (; !FAILED(r) && p->below > 0; p->below--) r = sys(__NR_umount2, ".", MNT_DETACH);
    if (!FAILED(r)) r = sys(__NR_chdir, "/");
    close_root(p);
    unpin(p);
    return r;
}
