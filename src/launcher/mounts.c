/* The ops that build the file system inside.
 *
 * Every place is looked up beneath the root of the plan, where no link leads out; a mount gets its attributes while it is
 * still detached, and is attached to the descriptor of its place. Places that are missing are made in file systems that
 * this plan has mounted itself, and nowhere else: so nothing is ever made on the host. */
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <stddef.h>

#include "launcher.h"
#include "ops.h"
#include "sys.h"

#define MS_REMOUNT 32
#define MS_BIND 4096
#define MS_REC 16384
#define MNT_DETACH 2
#define FOLDER 0040000
#define FORMAT 0170000

/* ---- places ---- */

static int is_folder(const struct statx *s) { return (s->stx_mode & FORMAT) == FOLDER; }

static long look(int fd, struct statx *s) { return sys(__NR_statx, fd, "", AT_EMPTY_PATH, STATX_TYPE, s); }

static long root_of(struct player *p) {
    if (p->root < 0) p->root = (int)sys(__NR_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return p->root;
}

static long open_place(struct player *p, const char *path, uint64_t flags) {
    struct open_how how = {flags | O_PATH | O_CLOEXEC, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    long root = root_of(p);
    return FAILED(root) ? root : sys(__NR_openat2, root, path, &how, sizeof how);
}

/* Notes that the file system behind a descriptor is of our making. */
static void own(struct player *p, int fd) {
    struct statx s;
    if (p->owned == OWNED_MAX || FAILED(look(fd, &s))) return;
    p->own[p->owned++] = (uint64_t)s.stx_dev_major << 32 | s.stx_dev_minor;
}

static int is_own(const struct player *p, int fd) {
    struct statx s;
    if (FAILED(look(fd, &s))) return 0;
    for (int i = 0; i < p->owned; i++)
        if (p->own[i] == ((uint64_t)s.stx_dev_major << 32 | s.stx_dev_minor)) return 1;
    return 0;
}

/* What is to be made of a missing place. */
enum what { A_FOLDER, A_FILE };

static long make(struct player *p, int parent, const char *name, enum what what, long mode) {
    if (!is_own(p, parent)) return -ENOENT;
    if (what == A_FOLDER) return sys(__NR_mkdirat, parent, name, mode);
    long fd = sys(__NR_openat, parent, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, mode);
    return FAILED(fd) ? fd : sys(__NR_close, fd);
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

/* Opens the place, and makes it, with the folders above it, where it is missing. */
static long place(struct player *p, const char *path, enum what what, long mode) {
    char above[4096];
    long fd = open_place(p, path, 0);
    if (fd != -ENOENT) return fd;
    size_t n = 0;
    for (; path[n] && n < sizeof above - 1; n++) above[n] = path[n];
    above[n] = 0;
    char *name = split(above);
    if (name[0] == 0) return -ENOENT;
    long parent = above[0] ? place(p, above, A_FOLDER, 0755) : open_place(p, "/", O_DIRECTORY);
    if (FAILED(parent)) return parent;
    long r = make(p, (int)parent, name, what, mode);
    sys(__NR_close, parent);
    return FAILED(r) ? r : open_place(p, path, 0);
}

/* ---- mount(2), for where the newer calls are missing: it wants the place as a path ---- */

static const char *path_of(long fd, char *to) {
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

/* A read-only bind cannot reach what is mounted below it: that is left out then. */
static long old_bind(struct player *p, const char *source, const char *path, uint64_t flags) {
    char name[32];
    struct statx s;
    long r = sys(__NR_statx, AT_FDCWD, source, 0, STATX_TYPE, &s);
    if (FAILED(r)) return r;
    long to = place(p, path, is_folder(&s) ? A_FOLDER : A_FILE, 0755);
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
    for (char **o = ns_list(p, s->options); o && *o; o++) {
        if (n > 0) data[n++] = ',';
        for (const char *c = *o; *c; c++) {
            if (n > sizeof data - 2) return -E2BIG;
            data[n++] = *c;
        }
    }
    data[n] = 0;
    long to = place(p, path, A_FOLDER, 0755);
    if (FAILED(to)) return to;
    const char *type = plan_string(p, s->type);
    long r = sys(__NR_mount, type, path_of(to, name), type, s->flags, data);
    sys(__NR_close, to);
    return r;
}

/* ---- detached mounts ---- */

static long set_attributes(int fd, uint64_t set, uint64_t clear, int recursive) {
    struct mount_attr attr = {set, clear, 0, 0};
    if (!set && !clear) return 0;
    return sys(__NR_mount_setattr, fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr, sizeof attr);
}

/* Puts a detached mount on its place and closes it. */
static long attach(struct player *p, long tree, const char *path) {
    struct statx s;
    long r = look((int)tree, &s);
    long to = FAILED(r) ? r : place(p, path, is_folder(&s) ? A_FOLDER : A_FILE, 0755);
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
    if (!source) return attach(p, sys(__NR_fcntl, s->fd, F_DUPFD_CLOEXEC, 3), path);
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

/* path: a folder. mode */
long op_mkdir(struct player *p, const struct step *s) {
    long fd = place(p, plan_string(p, s->path), A_FOLDER, s->mode);
    return FAILED(fd) ? fd : sys(__NR_close, fd);
}

static long parent_of(struct player *p, const char *path, char *above, char **name) {
    size_t n = 0;
    for (; path[n] && n < 4095; n++) above[n] = path[n];
    above[n] = 0;
    *name = split(above);
    long fd = above[0] ? place(p, above, A_FOLDER, 0755) : open_place(p, "/", O_DIRECTORY);
    if (!FAILED(fd) && !is_own(p, (int)fd)) {
        sys(__NR_close, fd);
        return -EROFS;
    }
    return fd;
}

/* path: a link to data */
long op_symlink(struct player *p, const struct step *s) {
    char above[4096], *name;
    long fd = parent_of(p, plan_string(p, s->path), above, &name);
    if (FAILED(fd)) return fd;
    long r = sys(__NR_symlinkat, plan_string(p, s->data), fd, name);
    sys(__NR_close, fd);
    return r;
}

static long write_file(int folder, const char *name, const char *data, uint32_t size, long mode) {
    long fd = sys(__NR_openat, folder, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, mode);
    if (FAILED(fd)) return fd;
    long r = 0;
    while (size > 0 && !FAILED(r = sys(__NR_write, fd, data, size))) data += r, size -= (uint32_t)r;
    sys(__NR_close, fd);
    return FAILED(r) ? r : 0;
}

/* A file of ours over one that is there: made in the new root, taken as a mount, and its name removed again. */
static long cover_file(struct player *p, const char *path, const struct step *s, long mode) {
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
    char above[4096], *name;
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

/* path: hidden, under an empty folder or file that nobody can write */
long op_mask(struct player *p, const struct step *s) {
    const char *path = plan_string(p, s->path);
    struct statx status;
    long fd = open_place(p, path, 0);
    if (FAILED(fd)) return fd;
    long r = look((int)fd, &status);
    sys(__NR_close, fd);
    if (FAILED(r)) return r;
    if (!is_folder(&status)) return cover_file(p, path, s, 0444);
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

/* The folders of a throw-away layer, in a tmpfs that the overlay will cover: u and w, and l for a tree to lie under. */
static long make_layers(struct player *p, const char *path) {
    long fs = new_fs("tmpfs", 0, 0);
    long r = FAILED(fs) ? fs : attach(p, fs, path);
    long folder = FAILED(r) ? r : open_place(p, path, O_DIRECTORY);
    if (FAILED(folder)) return folder;
    own(p, (int)folder);
    const char *names[] = {"u", "w", "l"};
    for (int i = 0; i < 3; i++) sys(__NR_mkdirat, folder, names[i], 0755);
    return folder;
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
    long folder = s->value ? make_layers(p, path) : 0;
    if (FAILED(folder)) return folder;
    if (s->value) {
        path_of(folder, base);
        join(options[n++] = upper, "upperdir=", base, "/u");
        join(options[n++] = work, "workdir=", base, "/w");
    }
    if (s->value && s->fd > 0) {
        long l = sys(__NR_openat, folder, "l", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (FAILED(l)) return l;
        l = sys(__NR_move_mount, s->fd, "", l, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
        if (FAILED(l)) return l;
        join(options[n++] = lower, "lowerdir=", base, "/l");
    }
    long fs = new_fs("overlay", options, s->flags);
    if (s->value) sys(__NR_close, folder);
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
