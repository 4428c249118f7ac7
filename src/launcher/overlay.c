/* The op that mounts an overlay. Each of its directories is opened, and named as /proc/self/fd/N in the options: so no
 * path is too long, or contains a ":" or "," that the options would need to have escaped. */
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mount.h>
#include <linux/stat.h>
#include <stddef.h>

#include "attributes.h"
#include "message.h"
#include "numbers.h"
#include "ops.h"
#include "places.h"
#include "sys.h"
#include "text.h"
#include "trees.h"

/* LOWERS_MAX: the kernel's own limit. JOINED_MAX: mount(2) takes one page of options. */
enum { LOWERS_MAX = 501, OTHERS_MAX = 2, PLAIN_MAX = 4, OPTION_MAX = 40, JOINED_MAX = 3900 };
enum { FRESH = 0 }; /* the mode of an upper that is new */

static const char LOWER[] = "lowerdir+=";

struct layer {
    int fd;
    char option[OPTION_MAX]; /* "lowerdir+=/proc/self/fd/N" */
};

struct layers {
    int lowers, others, plain; /* how many of each there are; plain: options that name no directory */
    struct layer lower[LOWERS_MAX], other[OTHERS_MAX]; /* other: upper and work */
    long scratch, base; /* a tmpfs of ours, -1 without one; and where relative paths of upper and work begin */
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

/* A directory in another one, which may be made. */
static long sub(long directory, const char *name, long mode) {
    long r = sys(__NR_mkdirat, directory, name, mode);
    if (FAILED(r) && r != -EEXIST) return r;
    return sys(__NR_openat, directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* ---- a tmpfs of ours, which the overlay will cover ---- */

static long make_scratch(struct player *p, const struct step *s) {
    static const char *const names[] = {"u", "w", "l"}; /* upper, work, and where trees are mounted */
    static const long modes[] = {FRESH, 0755, 0755};
    long scratch = new_fs("tmpfs", 0, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    if (FAILED(scratch)) return scratch;
    long r = attach(p, scratch, plan_string(p, s->path));
    for (int i = 0; i < 3 && !FAILED(r); i++) r = sys(__NR_mkdirat, scratch, names[i], modes[i]);
    if (FAILED(r)) sys(__NR_close, scratch);
    return FAILED(r) ? r : scratch;
}

/* Mounts a detached tree on the directory "l" of the scratch, over others, and opens it there. */
static long put_tree(const struct layers *l, long tree, uint64_t flags) {
    long under = open_directory(l->scratch, "l");
    long r = FAILED(under) ? under : set_attributes(tree, flags, 0, 1);
    if (!FAILED(r)) r = move_tree(tree, under);
    if (!FAILED(under)) sys(__NR_close, under);
    sys(__NR_close, tree);
    return FAILED(r) ? r : open_directory(l->scratch, "l");
}

/* ---- the directories of the step ---- */

static long keep(int *place, long fd) {
    if (FAILED(fd)) return fd;
    *place = (int)fd;
    return 0;
}

/* Those of a root are for its parts, too. */
static long open_upper(struct player *p, const struct step *s, struct layers *l, int is_work, const char *path) {
    if (s->how & STEP_ROOT_LAYER)
        return keep(is_work ? &p->works : &p->upper,
                    sys(__NR_openat, l->base, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return add_other(l, is_work ? "workdir=" : "upperdir=", open_directory(l->base, path));
}

static long open_layer(struct player *p, const struct step *s, struct layers *l, char *option) {
    const char *path = value_of(option, "lowerdir=");
    if (path) return add_lower(l, open_directory(AT_FDCWD, path));
    if ((path = value_of(option, "lowertree="))) return add_lower(l, put_tree(l, number_at(path), s->flags));
    if ((path = value_of(option, "basetree="))) return FAILED(l->base = put_tree(l, number_at(path), 0)) ? l->base : 0;
    if ((path = value_of(option, "upperdir="))) return open_upper(p, s, l, 0, path);
    if ((path = value_of(option, "workdir="))) return open_upper(p, s, l, 1, path);
    if (l->plain == PLAIN_MAX) return -E2BIG;
    l->options[l->plain++] = option;
    return 0;
}

static long open_layers(struct player *p, const struct step *s, struct layers *l) {
    long r = 0;
    for (char **o = plan_list(p, s->options); o && *o && !FAILED(r); o++) r = open_layer(p, s, l, *o);
    if (!FAILED(r) && s->fd > 0) r = add_lower(l, put_tree(l, s->fd, s->flags));
    return r;
}

/* Its lowest lower is what newroot and the steps since have made: the places of mounts. No mount that cannot be bound
 * is a layer. */
static long add_places(struct player *p, struct layers *l) {
    long r = set_propagation(p->root, MS_PRIVATE, 0);
    return FAILED(r) ? r : add_lower(l, sys(__NR_fcntl, p->root, F_DUPFD_CLOEXEC, 3));
}

/* ---- upper and work ---- */

static long add_both(struct layers *l, long upper, long work) {
    long r = add_other(l, "upperdir=", upper), r2 = add_other(l, "workdir=", work);
    return FAILED(r) ? r : r2;
}

static long use_root(struct player *p, const struct step *s, struct layers *l) {
    long r = 0;
    if (s->how & STEP_THROW_AWAY) r = keep(&p->upper, sub(l->scratch, "u", FRESH));
    if (s->how & STEP_THROW_AWAY && !FAILED(r)) r = keep(&p->works, sub(l->scratch, "w", 0755));
    if (FAILED(r) || p->upper < 0) return r;
    return add_both(l, sys(__NR_fcntl, p->upper, F_DUPFD_CLOEXEC, 3), sub(p->works, "top", 0700));
}

static long use_part(struct player *p, const struct step *s, struct layers *l) {
    const char *name = plan_string(p, s->path) + 1;
    if (p->upper < 0) return 0;
    long parts = sub(p->works, "parts", 0700);
    if (FAILED(parts)) return parts;
    long r = add_both(l, sub(p->upper, name, FRESH), sub(parts, name, 0700));
    sys(__NR_close, parts);
    return r;
}

static long find_upper(struct player *p, const struct step *s, struct layers *l) {
    if (s->how & STEP_ROOT_LAYER) return use_root(p, s, l);
    if (s->how & STEP_PART_LAYER) return use_part(p, s, l);
    if (!(s->how & STEP_THROW_AWAY)) return 0;
    return add_both(l, sub(l->scratch, "u", FRESH), sub(l->scratch, "w", 0755));
}

/* Notes that a part of the upper was made by us, and as what: its mode, and whether its owner or group is another one
 * than that of the lower. For whoever looks for changes later (src/core/layer.c); no program sees it, as it is called
 * as the overlay's own are. Where there are no attributes, it counts as a change. */
static void note_made(const struct step *s, int fd, int foreign) {
    struct statx status;
    char note[] = "0000=";
    if (FAILED(look(fd, &status))) return;
    for (int i = 0; i < 4; i++) note[i] = (char)('0' + (status.stx_mode >> (9 - 3 * i) & 7));
    if (foreign) note[4] = '~';
    sys(__NR_fsetxattr, fd, s->how & STEP_USERXATTR ? "user.overlay.ns" : "trusted.overlay.ns", note, 5, 0);
}

/* A new upper is as the uppermost lower. */
static long dress(const struct step *s, struct layers *l) {
    struct statx status;
    if (!l->others || !l->lowers) return 0;
    long r = look(l->other[0].fd, &status);
    if (FAILED(r) || (status.stx_mode & 07777) != FRESH) return r;
    r = copy_attributes(l->lower[0].fd, l->other[0].fd, s->how & STEP_USERXATTR);
    if (!FAILED(r) && s->how & STEP_PART_LAYER) note_made(s, l->other[0].fd, (int)r);
    return r;
}

/* ---- all of it ---- */

/* To remove a directory of its lower, an overlay must set extended attributes on the files of its upper, in a user
 * namespace user.* ones, which a tmpfs has from Linux 6.6 on. Tries whether that works, as the overlay would fail only
 * later, inside. */
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

/* Unmounts the tree that lies under the overlay, which has its own copy of that mount by now: a program that may
 * unmount the overlay would find the tree of the host there, and could write to it. */
static long detach(long tree) {
    char path[32];
    return sys(__NR_umount2, path_of(tree, path), MNT_DETACH);
}

/* The host is told of an upper that is thrown away: it may look into it for as long as it holds it. */
static long hand_out(const struct player *p, const struct step *s, int upper) {
    struct record r = {LAUNCHER_UPPER, 0};
    if (!(s->how & STEP_THROW_AWAY) || s->how & STEP_PART_LAYER) return 0;
    long n = send_message(p->socket, &r, sizeof r, &upper, 1);
    return FAILED(n) ? n : 0;
}

/* Mounts what the layers have become on its place. */
static long put_overlay(struct player *p, const struct step *s, const struct layers *l, long fs) {
    long r = 0;
    if (s->how & STEP_THROW_AWAY)
        r = note_ours(p, fs);
    else if (l->others)
        r = note_kept(p, fs);
    if (FAILED(r)) return r;
    return (s->how & STEP_ROOT_LAYER ? attach_root : attach)(p, fs, plan_string(p, s->path));
}

static long make_overlay(struct player *p, const struct step *s, struct layers *l) {
    long r = open_layers(p, s, l);
    if (!FAILED(r) && s->how & STEP_ROOT_LAYER) r = add_places(p, l);
    if (!FAILED(r)) r = find_upper(p, s, l);
    if (!FAILED(r)) r = dress(s, l);
    if (!FAILED(r) && s->how & STEP_USERXATTR && l->others == OTHERS_MAX) r = check_attributes(l);
    if (FAILED(r)) return r;
    set_options(l);
    return new_fs("overlay", l->options, s->flags);
}

/* An overlay on path. options: those of the file system, with one option for each directory ("lowerdir=/a",
 * "lowerdir=/b", "upperdir=/u"), or for a detached tree ("lowertree=7"; "basetree=8": upperdir and workdir begin in
 * it); fd: a detached tree that is the lowest, 0 for none; flags: MOUNT_ATTR_*; how: THROW_AWAY, USERXATTR, ROOT_LAYER,
 * PART_LAYER */
long op_overlay(struct player *p, const struct step *s) {
    struct layers l;
    l.lowers = l.others = l.plain = 0;
    l.base = AT_FDCWD, l.scratch = p->scratch;
    int of_root = s->how & (STEP_ROOT_LAYER | STEP_PART_LAYER);
    int makes = s->how & (STEP_ROOT_LAYER | STEP_THROW_AWAY) && !(s->how & STEP_PART_LAYER);
    if (makes) l.scratch = make_scratch(p, s);
    if (makes && FAILED(l.scratch)) return l.scratch;
    if (s->how & STEP_ROOT_LAYER) p->scratch = (int)l.scratch, p->below++;
    long fs = make_overlay(p, s, &l), r = FAILED(fs) ? fs : 0;
    if (!FAILED(fs) && s->fd > 0 && !of_root) r = detach(l.lower[l.lowers - 1].fd);
    if (!FAILED(fs) && !FAILED(r) && l.others) r = hand_out(p, s, l.other[0].fd);
    close_all(l.lower, l.lowers);
    close_all(l.other, l.others);
    if (l.base >= 0) sys(__NR_close, l.base);
    if (makes && !of_root) sys(__NR_close, l.scratch);
    if (!FAILED(r)) r = put_overlay(p, s, &l, fs);
    if (!FAILED(fs)) sys(__NR_close, fs);
    return r;
}
