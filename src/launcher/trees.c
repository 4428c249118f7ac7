/* Detached mounts (Linux 5.2; mount_setattr: 5.12). A kernel, or a filter, without one of these calls says ENOSYS: then
 * the old one does the same (old.c). */
#include "trees.h"

#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mount.h>
#include <linux/stat.h>
#include <stddef.h>

#include "numbers.h"
#include "old.h"
#include "places.h"
#include "sys.h"
#include "text.h"

/* fsconfig(2) takes 255 bytes in a value, and before Linux 6.5 an overlay takes no comma from it: the names of
 * directories may need both. */
static int fit_fsconfig(char **options) {
    for (; options && *options; options++) {
        for (int n = 0; (*options)[n]; n++)
            if (n == 255 || (*options)[n] == ',') return 0;
    }
    return 1;
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

long new_fs(const char *type, char **options, uint64_t flags) {
    long fs = fit_fsconfig(options) ? sys(__NR_fsopen, type, FSOPEN_CLOEXEC) : -ENOSYS;
    if (fs == -ENOSYS) return old_fs(type, options, flags);
    if (FAILED(fs)) return fs;
    long r = sys(__NR_fsconfig, fs, FSCONFIG_SET_STRING, "source", type, 0);
    for (char **o = options; !FAILED(r) && o && *o; o++) r = configure(fs, *o);
    if (!FAILED(r)) r = sys(__NR_fsconfig, fs, FSCONFIG_CMD_CREATE, 0, 0, 0);
    if (!FAILED(r)) r = sys(__NR_fsmount, fs, FSMOUNT_CLOEXEC, flags);
    sys(__NR_close, fs);
    return r == -ENOSYS ? old_fs(type, options, flags) : r;
}

long clone_tree(long from, uint64_t flags) {
    long tree = sys(__NR_open_tree, from, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH);
    if (tree == -ENOSYS) tree = old_clone(from);
    if (FAILED(tree)) return tree;
    long r = set_attributes(tree, flags, 0, 1);
    if (FAILED(r)) sys(__NR_close, tree);
    return FAILED(r) ? r : tree;
}

static long setattr(long tree, struct mount_attr attr, int recursive) {
    return sys(__NR_mount_setattr, tree, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr, sizeof attr);
}

long set_attributes(long tree, uint64_t set, uint64_t clear, int recursive) {
    if (!set && !clear) return 0;
    long r = setattr(tree, (struct mount_attr){.attr_set = set, .attr_clr = clear}, recursive);
    return r == -ENOSYS ? old_attributes(tree, set, clear, recursive) : r;
}

long set_propagation(long tree, uint64_t kind, int recursive) {
    long r = setattr(tree, (struct mount_attr){.propagation = kind}, recursive);
    return r == -ENOSYS ? old_propagation(tree, kind, recursive) : r;
}

long move_tree(long tree, long to) {
    long r = sys(__NR_move_mount, tree, "", to, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
    return r == -ENOSYS ? old_move(tree, to) : r;
}

/* A file of ours that covers the place (files.c) has no name any more, and the kernel mounts nothing on such: it
 * goes. */
static long replace_cover(struct player *p, long tree, const char *path) {
    char name[32];
    long to = open_place(p, path, 0);
    long r = FAILED(to) ? to : sys(__NR_umount2, path_of(to, name), MNT_DETACH);
    if (!FAILED(to)) sys(__NR_close, to);
    if (FAILED(r)) return -ENOENT;
    to = place(p, path, A_FILE, 0444);
    if (FAILED(to)) return to;
    r = move_tree(tree, to);
    sys(__NR_close, to);
    return r;
}

static int is_top(const char *path) { return path[0] == '/' && !path[1]; }

static long attach_as(struct player *p, long tree, const char *path, enum what what) {
    long to = place(p, path, what, what == A_FILE ? 0444 : 0755);
    if (FAILED(to)) return to;
    int fixed = what == A_DIRECTORY && is_fixed(p, path);
    long r = move_tree(tree, to);
    sys(__NR_close, to);
    if (r == -ENOENT && what == A_FILE) r = replace_cover(p, tree, path);
    if (r == -ELOOP && is_top(path))
        r = 0; /* the stage of old.c is our root's own: it lies there, over that, already */
    return FAILED(r) || what != A_DIRECTORY ? r : pin(p, path, tree, fixed);
}

long attach_file(struct player *p, long tree, const char *path) { return attach_as(p, tree, path, A_FILE); }

long attach(struct player *p, long tree, const char *path) {
    struct statx s;
    long r = look(tree, &s);
    return FAILED(r) ? r : attach_as(p, tree, path, is_directory(&s) ? A_DIRECTORY : A_FILE);
}

long attach_root(struct player *p, long tree, const char *path) {
    long r = attach(p, tree, path);
    long root = FAILED(r) ? r : sys(__NR_fcntl, tree, F_DUPFD_CLOEXEC, 3);
    if (FAILED(root)) return root;
    r = set_propagation(p->root, MS_UNBINDABLE, 0);
    sys(__NR_close, p->root);
    p->root = (int)root;
    p->below++;
    return r;
}

long attach_part(struct player *p, long tree, const char *path) {
    struct statx s;
    long looked = look(tree, &s);
    long r = attach_as(p, tree, path, FAILED(looked) || is_directory(&s) ? A_DIRECTORY : A_FILE);
    return FAILED(r) && FAILED(looked) ? looked : r;
}
