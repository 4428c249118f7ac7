/* The ops that mount: a mount gets its attributes while it is still detached, and is attached to the descriptor of its
 * place. */
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mount.h>
#include <linux/stat.h>
#include <stddef.h>

#include "ops.h"
#include "places.h"
#include "sys.h"

#define MS_REMOUNT 32
#define MS_BIND 4096
#define MS_REC 16384
#define MNT_DETACH 2

/* ---- mount(2), for where the newer calls are missing: it wants the place as a path ---- */

/* A read-only bind cannot reach what is mounted below it: that is left out then. */
static long old_bind(struct player *p, const char *source, const char *path, uint64_t flags) {
    char name[32];
    struct statx s;
    long r = sys(__NR_statx, AT_FDCWD, source, 0, STATX_TYPE, &s);
    if (FAILED(r)) return r;
    long to = place(p, path, is_directory(&s) ? A_DIRECTORY : A_FILE, 0755);
    if (FAILED(to)) return to;
    r = sys(__NR_mount, source, path_of(to, name), 0, MS_BIND | (flags ? 0 : MS_REC), 0);
    sys(__NR_close, to);
    if (FAILED(r) || !flags) return r;
    to = open_place(p, path, 0);
    if (!FAILED(to)) r = sys(__NR_mount, 0, path_of(to, name), 0, MS_REMOUNT | MS_BIND | flags, 0);
    sys(__NR_close, to);
    return r;
}

static long old_fs(struct player *p, const struct step *s, const char *path) {
    char name[32], data[4096];
    size_t n = 0;
    for (char **o = ns_list(p, s->options); o && *o; o++)
        for (const char *c = *o, *end = 0; !end; c++) {
            if (n == sizeof data) return -E2BIG;
            if (!*c) end = c;
            data[n++] = end ? ',' : *c;
        }
    data[n > 0 ? n - 1 : 0] = 0;
    long to = place(p, path, A_DIRECTORY, 0755);
    if (FAILED(to)) return to;
    const char *type = plan_string(p, s->type);
    long r = sys(__NR_mount, type, path_of(to, name), type, s->flags, data);
    sys(__NR_close, to);
    return r;
}

/* ---- detached mounts ---- */

long set_attributes(int fd, uint64_t set, uint64_t clear, int recursive) {
    struct mount_attr attr = {set, clear, 0, 0};
    if (!set && !clear) return 0;
    return sys(__NR_mount_setattr, fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr, sizeof attr);
}

/* Puts a detached mount on its place and closes it. */
long attach(struct player *p, long tree, const char *path) {
    struct statx s;
    long r = look((int)tree, &s);
    long to = FAILED(r) ? r : place(p, path, is_directory(&s) ? A_DIRECTORY : A_FILE, 0755);
    if (!FAILED(to)) {
        r = sys(__NR_move_mount, tree, "", to, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
        sys(__NR_close, to);
    }
    sys(__NR_close, tree);
    return FAILED(to) ? to : r;
}

static long configure(long fs, char *option) {
    char *value = option;
    while (*value && *value != '=') value++;
    if (!*value) return sys(__NR_fsconfig, fs, FSCONFIG_SET_FLAG, option, 0, 0);
    *value = 0;
    long r = sys(__NR_fsconfig, fs, FSCONFIG_SET_STRING, option, value + 1, 0);
    *value = '=';
    return r;
}

/* A new, detached file system. */
static long new_fs(const char *type, char **options, uint64_t flags) {
    long fs = sys(__NR_fsopen, type, FSOPEN_CLOEXEC);
    if (FAILED(fs)) return fs;
    long r = sys(__NR_fsconfig, fs, FSCONFIG_SET_STRING, "source", type, 0);
    for (; !FAILED(r) && options && *options; options++) r = configure(fs, *options);
    if (!FAILED(r)) r = sys(__NR_fsconfig, fs, FSCONFIG_CMD_CREATE, 0, 0, 0);
    if (!FAILED(r)) r = sys(__NR_fsmount, fs, FSMOUNT_CLOEXEC, flags);
    sys(__NR_close, fs);
    return r;
}

/* ---- the ops ---- */

/* A tmpfs that will be the root: mounted over the old one, which stays in reach by absolute paths until `pivot`.
 * options */
long op_newroot(struct player *p, const struct step *s) {
    long fd = new_fs("tmpfs", ns_list(p, s->options), s->flags);
    long r = fd;
    if (!FAILED(fd)) r = sys(__NR_move_mount, fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);
    if (fd == -ENOSYS) {
        r = sys(__NR_mount, "tmpfs", "/", "tmpfs", s->flags, "mode=755");
        fd = FAILED(r) ? r : sys(__NR_openat, AT_FDCWD, "/..", O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    if (FAILED(r)) return r;
    if (FAILED(fd)) return fd;
    p->root = (int)fd;
    own(p, p->root);
    return 0;
}

/* A file system on path. type, options, flags: MOUNT_ATTR_* */
long op_fs(struct player *p, const struct step *s) {
    const char *path = plan_string(p, s->path);
    long r = new_fs(plan_string(p, s->type), ns_list(p, s->options), s->flags);
    r = r == -ENOSYS ? old_fs(p, s, path) : FAILED(r) ? r : attach(p, r, path);
    if (FAILED(r) || !s->value) return r;
    long fd = open_place(p, path, O_DIRECTORY); /* value: places may be made in it */
    if (!FAILED(fd)) own(p, (int)fd);
    sys(__NR_close, fd);
    return 0;
}

/* A part of the host's tree on path: that of `fd` (detached, with its attributes), or of source. flags: MOUNT_ATTR_* for
 * all mounts in it; value: source is beneath the new root */
long op_tree(struct player *p, const struct step *s) {
    const char *source = plan_string(p, s->source), *path = plan_string(p, s->path);
    if (!source) return attach(p, s->fd, path);
    long from = s->value ? open_place(p, source, 0) : AT_FDCWD;
    if (s->value && FAILED(from)) return from;
    unsigned how = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH;
    long tree = sys(__NR_open_tree, from, s->value ? "" : source, how);
    if (s->value) sys(__NR_close, from);
    if (tree == -ENOSYS && !s->value) return old_bind(p, source, path, s->flags);
    if (FAILED(tree)) return tree;
    long r = set_attributes((int)tree, s->flags, 0, 1);
    if (!FAILED(r)) return attach(p, tree, path);
    sys(__NR_close, tree);
    return r == -ENOSYS && !s->value ? old_bind(p, source, path, s->flags) : r;
}

/* path: hidden, under an empty directory or file that nobody can write */
long op_mask(struct player *p, const struct step *s) {
    const char *path = plan_string(p, s->path);
    struct statx status;
    long fd = open_place(p, path, 0);
    if (FAILED(fd)) return fd;
    long r = look((int)fd, &status);
    sys(__NR_close, fd);
    if (FAILED(r)) return r;
    if (!is_directory(&status)) return cover_file(p, path, s, 0444);
    char mode[] = "mode=555", size[] = "nr_inodes=1", *options[] = {mode, size, 0};
    r = new_fs("tmpfs", options, s->flags);
    return FAILED(r) ? r : attach(p, r, path);
}

/* path: the mount there gets the attributes flags, and loses those of value. to: 1 for all mounts below it, too */
long op_remount(struct player *p, const struct step *s) {
    long fd = open_place(p, plan_string(p, s->path), 0);
    if (FAILED(fd)) return fd;
    long r = set_attributes((int)fd, s->flags, (uint64_t)s->value, s->to);
    sys(__NR_close, fd);
    return r;
}

/* path: propagation of the mount there. flags: MS_*, for mount(2) */
long op_propagation(struct player *p, const struct step *s) {
    long fd = open_place(p, plan_string(p, s->path), 0);
    if (FAILED(fd)) return fd;
    struct mount_attr attr = {0, 0, s->flags & ~(uint64_t)MS_REC, 0};
    long r =
        sys(__NR_mount_setattr, fd, "", AT_EMPTY_PATH | (s->flags & MS_REC ? AT_RECURSIVE : 0), &attr, sizeof attr);
    sys(__NR_close, fd);
    return r;
}

/* The directories of a throw-away layer, in a tmpfs that the overlay will cover: u and w, and l for a tree to lie under. */
static long make_layers(struct player *p, const char *path) {
    long fs = new_fs("tmpfs", 0, 0);
    long r = FAILED(fs) ? fs : attach(p, fs, path);
    long directory = FAILED(r) ? r : open_place(p, path, O_DIRECTORY);
    if (FAILED(directory)) return directory;
    own(p, (int)directory);
    const char *names[] = {"u", "w", "l"};
    for (int i = 0; i < 3; i++) sys(__NR_mkdirat, directory, names[i], 0755);
    return directory;
}

static void join(char *to, const char *a, const char *b, const char *c) {
    while (*a) *to++ = *a++;
    while (*b) *to++ = *b++;
    while (*c) *to++ = *c++;
    *to = 0;
}

/* An overlay on path. options: its options, lowerdir among them, as the user has them; value: a throw-away upper is added;
 * fd: a detached tree that is the lower, 0 for none. flags: MOUNT_ATTR_* */
long op_overlay(struct player *p, const struct step *s) {
    const char *path = plan_string(p, s->path);
    char **given = ns_list(p, s->options), *options[8] = {0}, base[32], lower[64], upper[64], work[64];
    int n = 0;
    for (; given && given[n] && n < 4; n++) options[n] = given[n];
    long directory = s->value ? make_layers(p, path) : 0;
    if (FAILED(directory)) return directory;
    if (s->value) {
        path_of(directory, base);
        join(options[n++] = upper, "upperdir=", base, "/u");
        join(options[n++] = work, "workdir=", base, "/w");
    }
    if (s->value && s->fd > 0) {
        long l = sys(__NR_openat, directory, "l", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (FAILED(l)) return l;
        long r = sys(__NR_move_mount, s->fd, "", l, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
        sys(__NR_close, s->fd);
        sys(__NR_close, l);
        if (FAILED(r)) return r;
        join(options[n++] = lower, "lowerdir=", base, "/l");
    }
    long fs = new_fs("overlay", options, s->flags);
    if (s->value) sys(__NR_close, directory);
    return FAILED(fs) ? fs : attach(p, fs, path);
}

/* Into the new root, out of the old one for good. flags: MOUNT_ATTR_* of the root itself */
long op_pivot(struct player *p, const struct step *s) {
    long r = sys(__NR_fchdir, p->root);
    if (!FAILED(r)) r = sys(__NR_pivot_root, ".", ".");
    if (!FAILED(r)) r = sys(__NR_umount2, ".", MNT_DETACH);
    if (!FAILED(r)) r = sys(__NR_chdir, "/");
    if (!FAILED(r)) r = set_attributes(p->root, s->flags, 0, 0);
    if (r == -ENOSYS) r = sys(__NR_mount, 0, "/", 0, MS_REMOUNT | MS_BIND | s->flags, 0);
    sys(__NR_close, p->root);
    p->root = -1;
    return r;
}
