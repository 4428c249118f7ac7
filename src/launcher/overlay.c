/* The op that mounts an overlay. Each of its directories is opened, and named as /proc/self/fd/N in the options: so no path
 * is too long, or contains a ":" or "," that the options would need to have escaped. */
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mount.h>
#include <stddef.h>

#include "attributes.h"
#include "numbers.h"
#include "ops.h"
#include "places.h"
#include "sys.h"
#include "text.h"
#include "trees.h"

/* LOWERS_MAX: the kernel's own limit. JOINED_MAX: mount(2) takes one page of options. */
enum { LOWERS_MAX = 500, OTHERS_MAX = 2, PLAIN_MAX = 4, OPTION_MAX = 40, JOINED_MAX = 3900 };

static const char LOWER[] = "lowerdir+=";

struct layer {
    int fd;
    char option[OPTION_MAX]; /* "lowerdir+=/proc/self/fd/N" */
};

struct layers {
    int lowers, others, plain; /* how many of each there are; plain: options that name no directory */
    struct layer lower[LOWERS_MAX], other[OTHERS_MAX]; /* other: upper and work */
    char *options[LOWERS_MAX + OTHERS_MAX + PLAIN_MAX + 1], joined[JOINED_MAX];
};

static char *append(char *to, const char *text) {
    while (*text) *to++ = *text++;
    *to = 0;
    return to;
}

/* The value of an option that begins with this key, as "upperdir="; NULL if it begins with another. */
static const char *value_of(const char *option, const char *key) {
    for (; *key; key++, option++)
        if (*option != *key) return 0;
    return option;
}

static long open_directory(long at, const char *path) {
    return sys(__NR_openat, at, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static long add_layer(struct layer *list, int *count, int most, const char *key, long fd) {
    char name[32];
    if (FAILED(fd)) return fd;
    if (*count == most) return sys(__NR_close, fd), -E2BIG;
    struct layer *l = &list[(*count)++];
    l->fd = (int)fd;
    append(append(l->option, key), path_of(fd, name));
    return 0;
}

static long add_lower(struct layers *l, long fd) { return add_layer(l->lower, &l->lowers, LOWERS_MAX, LOWER, fd); }

static long add_other(struct layers *l, const char *key, long fd) {
    return add_layer(l->other, &l->others, OTHERS_MAX, key, fd);
}

/* ---- the directories of the step ---- */

static long open_layer(struct layers *l, char *option) {
    static const char *const keys[] = {"upperdir=", "workdir="};
    const char *path = value_of(option, "lowerdir=");
    if (path) return add_lower(l, open_directory(AT_FDCWD, path));
    for (int i = 0; i < 2; i++)
        if ((path = value_of(option, keys[i]))) return add_other(l, keys[i], open_directory(AT_FDCWD, path));
    if (l->plain == PLAIN_MAX) return -E2BIG;
    l->options[l->plain++] = option;
    return 0;
}

static long open_layers(struct player *p, const struct step *s, struct layers *l) {
    long r = 0;
    for (char **o = plan_list(p, s->options); o && *o && !FAILED(r); o++) r = open_layer(l, *o);
    return r;
}

/* ---- an upper that is thrown away ---- */

/* Mounts the detached tree of the step on the directory "l", and opens it there. */
static long put_lower(const struct step *s, long scratch) {
    long under = open_directory(scratch, "l");
    long r = FAILED(under) ? under : set_attributes(s->fd, s->flags, 0, 1);
    if (!FAILED(r)) r = move_tree(s->fd, under);
    if (!FAILED(under)) sys(__NR_close, under);
    sys(__NR_close, s->fd);
    return FAILED(r) ? r : open_directory(scratch, "l");
}

/* Mounts a tmpfs, which the overlay will cover, with three directories: u and w are its upper and work, and on l the tree of
 * the step is mounted. */
static long make_scratch(struct player *p, const struct step *s, struct layers *l) {
    static const char *const names[] = {"u", "w", "l"};
    long scratch = new_fs("tmpfs", 0, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    if (FAILED(scratch)) return scratch;
    long r = attach(p, scratch, plan_string(p, s->path));
    for (int i = 0; i < 3 && !FAILED(r); i++) r = sys(__NR_mkdirat, scratch, names[i], 0755);
    if (!FAILED(r)) r = add_other(l, "upperdir=", sys(__NR_openat, scratch, "u", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!FAILED(r)) r = add_other(l, "workdir=", open_directory(scratch, "w"));
    if (!FAILED(r) && s->fd > 0) r = add_lower(l, put_lower(s, scratch));
    sys(__NR_close, scratch);
    return FAILED(r) || !l->lowers ? r : copy_attributes(l->lower[0].fd, l->other[0].fd, s->how & STEP_USERXATTR);
}

/* ---- all of it ---- */

/* To remove a directory of its lower, an overlay must set extended attributes on the files of its upper, in a user namespace
 * user.* ones, which a tmpfs has from Linux 6.6 on. Tries whether that works, as the overlay would fail only later,
 * inside. */
static long check_attributes(const struct layers *l) {
    char work[32];
    long r = sys(__NR_setxattr, path_of(l->other[1].fd, work), "user.ns", "", 0, 0);
    return FAILED(r) ? r : sys(__NR_removexattr, work, "user.ns");
}

/* "lowerdir=A:B:C"; NULL if that is too long. */
static char *join_lowers(struct layers *l) {
    char *end = append(l->joined, "lowerdir=");
    for (int i = 0; i < l->lowers; i++) {
        if (end - l->joined > JOINED_MAX - OPTION_MAX) return 0;
        if (i > 0) end = append(end, ":");
        end = append(end, l->lower[i].option + sizeof LOWER - 1);
    }
    return l->joined;
}

/* Where the lowers are too many for one option, each gets a "lowerdir+=" option: that needs Linux 6.7. */
static void set_options(struct layers *l) {
    int n = l->plain;
    char *all = join_lowers(l);
    if (all) l->options[n++] = all;
    for (int i = 0; i < l->lowers && !all; i++) l->options[n++] = l->lower[i].option;
    for (int i = 0; i < l->others; i++) l->options[n++] = l->other[i].option;
    l->options[n] = 0;
}

static void close_all(const struct layer *list, int count) {
    for (int i = 0; i < count; i++) sys(__NR_close, list[i].fd);
}

/* Unmounts the tree that lies under the overlay, which has its own copy of that mount by now: a program that may unmount the
 * overlay would find the tree of the host there, and could write to it. */
static long detach(long tree) {
    char path[32];
    return sys(__NR_umount2, path_of(tree, path), MNT_DETACH);
}

/* An overlay on path. options: those of the file system, with one option for each directory ("lowerdir=/a", "lowerdir=/b",
 * "upperdir=/u"); fd: a detached tree that is the lower, 0 for none; flags: MOUNT_ATTR_*; how: THROW_AWAY, USERXATTR */
long op_overlay(struct player *p, const struct step *s) {
    struct layers l;
    l.lowers = l.others = l.plain = 0;
    long r = open_layers(p, s, &l);
    if (!FAILED(r) && s->how & STEP_THROW_AWAY) r = make_scratch(p, s, &l);
    if (!FAILED(r) && s->how & STEP_USERXATTR && l.others == OTHERS_MAX) r = check_attributes(&l);
    if (!FAILED(r)) set_options(&l);
    long fs = FAILED(r) ? r : new_fs("overlay", l.options, s->flags);
    r = !FAILED(fs) && s->how & STEP_THROW_AWAY && s->fd > 0 ? detach(l.lower[0].fd) : 0;
    close_all(l.lower, l.lowers);
    close_all(l.other, l.others);
    if (FAILED(fs)) return fs;
    if (!FAILED(r) && s->how & STEP_THROW_AWAY) r = note_ours(p, fs);
    if (!FAILED(r)) r = attach(p, fs, plan_string(p, s->path));
    sys(__NR_close, fs);
    return r;
}
