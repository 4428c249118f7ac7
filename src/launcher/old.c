/* mount(2), where the newer calls are missing.
 *
 * fsopen(2) and open_tree(2) give a descriptor of a mount that lies nowhere yet, which move_mount(2) puts on its
 * place. mount(2) knows only mounts on a path, where others may see or replace what is there. So each is made on a
 * path that is safe, the stage, and moved from there:
 *
 *     mount on "/"               "/.." is the new mount             move it to its place
 *
 *     / our root  <--- "/"       new mount  <--- "/.."              / our root
 *                                / our root <--- "/"                `-- place: the mount
 *
 * A path that begins with "/" begins in the root directory that the process has, below all that is mounted over it;
 * ".." at the top leads to the uppermost mount. So the stage is in nobody's way: our own "/" is seen as before, no
 * name of it is needed, and nobody else is in this mount namespace. A file cannot be mounted on a directory: it has
 * its stage on a file that every /proc has. */
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/mount.h>
#include <linux/stat.h>
#include <stddef.h>

#include "mountinfo.h"
#include "numbers.h"
#include "old.h"
#include "places.h"
#include "sys.h"
#include "text.h"

#define STAGE "/"
#define STAGED "/.."
#define FILE_STAGE "/proc/version"

static long open_path(const char *path) { return sys(__NR_openat, AT_FDCWD, path, O_PATH | O_CLOEXEC); }

long old_fs(const char *type, char **options, uint64_t flags) {
    char data[4096] = "";
    size_t n = 0;
    long r = 0;
    for (char **o = options; !FAILED(r) && o && *o; o++) {
        if (n > 0) r = add_text(data, sizeof data, &n, ",");
        if (!FAILED(r)) r = add_text(data, sizeof data, &n, *o);
    }
    if (!FAILED(r)) r = sys(__NR_mount, type, STAGE, type, flags, data);
    return FAILED(r) ? r : open_path(STAGED);
}

static int is_file(long fd) {
    struct statx s;
    return !FAILED(look(fd, &s)) && !is_directory(&s);
}

long old_clone(long from) {
    char name[32];
    int file = is_file(from);
    long r = sys(__NR_mount, path_of(from, name), file ? FILE_STAGE : STAGE, 0, MS_BIND | MS_REC, 0);
    return FAILED(r) ? r : open_path(file ? FILE_STAGE : STAGED);
}

long old_move(long tree, long to) {
    char a[32], b[32];
    return sys(__NR_mount, path_of(tree, a), path_of(to, b), 0, MS_MOVE, 0);
}

/* Takes away what is still on the stage. */
long old_close(void) { return sys(__NR_umount2, STAGED, MNT_DETACH); }

long old_propagation(long tree, uint64_t kind, int recursive) {
    char name[32];
    return sys(__NR_mount, 0, path_of(tree, name), 0, kind | (recursive ? MS_REC : 0), 0);
}

/* ---- attributes: mount_setattr(2) changes some flags of all mounts of a tree. A remount sets all flags of one mount;
 * which it has, and which mounts lie below it, is read from mountinfo ---- */

enum { IDS_MAX = 1 << 16 };

struct table {
    char text[TEXT_MAX];
    long ids[IDS_MAX]; /* of the mounts found */
    size_t count;
};

/* The flags of mount(2) in "rw,nosuid,relatime". A remount keeps those of the access time by itself. */
static uint64_t flags_in(const char *options) {
    static const struct {
        const char *name;
        uint64_t flag;
    } rows[] = {{"ro", MS_RDONLY},
                {"nosuid", MS_NOSUID},
                {"nodev", MS_NODEV},
                {"noexec", MS_NOEXEC},
                {"nosymfollow", MS_NOSYMFOLLOW}};
    uint64_t flags = 0;
    for (; *options && *options != ' '; options++) {
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
            if (starts_with(options, rows[i].name)) flags |= rows[i].flag;
        while (options[1] && options[1] != ',' && options[1] != ' ') options++;
        if (options[1] == ',') options++;
    }
    return flags;
}

/* What a line of mountinfo tells of, reached from the tree itself: `at` is where that lies. */
static long open_line(long tree, const char *at, const char *line) {
    char path[4300], name[32];
    const char *target = field(line, 5);
    size_t n = 0;
    add_text(path, sizeof path, &n, path_of(tree, name));
    if (!(at[0] == '/' && at[1] == ' '))
        while (*at && *at != ' ' && *at == *target) at++, target++;
    long r = unescape(path, sizeof path, &n, target);
    return FAILED(r) ? r : open_path(path);
}

/* A mount that is covered by another cannot be reached: not by the program either. */
static long remount(long tree, const char *at, const char *line, uint64_t set, uint64_t clear) {
    char name[32];
    long fd = open_line(tree, at, line);
    if (fd == -ENOENT || fd == -ENOTDIR) return 0;
    if (FAILED(fd)) return fd;
    uint64_t flags = MS_REMOUNT | MS_BIND | (flags_in(field(line, 6)) & ~clear) | set;
    long r = mount_id(fd) == number_at(line) ? sys(__NR_mount, 0, path_of(fd, name), 0, flags, 0) : 0;
    sys(__NR_close, fd);
    return r;
}

static int is_in(const struct table *t, long id) {
    for (size_t i = 0; i < t->count; i++)
        if (t->ids[i] == id) return 1;
    return 0;
}

static const char *find_line(const struct table *t, long id) {
    for (const char *line = t->text; *line; line = next_line(line))
        if (number_at(line) == id) return line;
    return 0;
}

/* All mounts below the first: until a look through all lines finds no more. */
static long remount_below(struct table *t, long tree, const char *at, uint64_t set, uint64_t clear) {
    for (size_t before = 0; before != t->count;) {
        before = t->count;
        for (const char *line = t->text; *line; line = next_line(line)) {
            if (is_in(t, number_at(line)) || !is_in(t, number_at(field(line, 2)))) continue;
            if (t->count == IDS_MAX) return -E2BIG;
            t->ids[t->count++] = number_at(line);
            long r = remount(tree, at, line, set, clear);
            if (FAILED(r)) return r;
        }
    }
    return 0;
}

/* The line of mountinfo for a mount. One that is detached has none: it is put on the stage first. */
static long staged_line(struct table *t, long tree, const char **line) {
    long id = mount_id(tree), r = read_text("/proc/self/mountinfo", t->text, sizeof t->text);
    if (FAILED(id) || FAILED(r)) return FAILED(id) ? id : r;
    *line = find_line(t, id);
    if (*line) return id;
    long stage = open_path(is_file(tree) ? FILE_STAGE : STAGE);
    if (FAILED(stage)) return stage;
    r = sys(__NR_move_mount, tree, "", stage, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
    if (r == -ENOSYS) r = old_move(tree, stage);
    sys(__NR_close, stage);
    if (!FAILED(r)) r = read_text("/proc/self/mountinfo", t->text, sizeof t->text);
    if (FAILED(r)) return r;
    *line = find_line(t, id);
    return *line ? id : -EINVAL;
}

long old_attributes(long tree, uint64_t set, uint64_t clear, int recursive) {
    long size = (long)sizeof(struct table), at;
    at = sys(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (FAILED(at)) return at;
    struct table *t = (struct table *)at;
    const char *line = 0;
    long r = staged_line(t, tree, &line);
    if (!FAILED(r)) {
        t->ids[t->count++] = r;
        r = remount(tree, field(line, 5), line, set, clear);
    }
    if (!FAILED(r) && recursive) r = remount_below(t, tree, field(line, 5), set, clear);
    sys(__NR_munmap, at, size);
    return r;
}
