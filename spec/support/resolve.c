/* resolve SEED TREES: in the empty directory that it is started in, makes trees of directories, files, links and mounts by chance,
 * and looks many paths up in each, by openat2(2) and by what stands in for it (src/launcher/resolve.c): both must find the same,
 * or fail in the same way. Tells what differs, and how many were found. */
#include "../../src/launcher/resolve.c"

#include "../../src/launcher/mountinfo.c"
#include "../../src/launcher/text.c"

extern int printf(const char *, ...), rand(void), atoi(const char *), sprintf(char *, const char *, ...);
extern void srand(unsigned);

enum { ENTRIES = 40, LOOKUPS = 1000 };

static const char *const names[] = {"a", "b",  "c", "d",    "l",      "m",   "f",   "proc", ".",  "..",  "..",
                                    "/", "..", "x", "self", "mounts", "exe", "cwd", "ns",   "fd", "mnt", "task"};
static const uint64_t scopes[] = {RESOLVE_IN_ROOT, RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS,
                                  RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV};
static const uint64_t kinds[] = {0, O_DIRECTORY, O_NOFOLLOW, O_DIRECTORY | O_NOFOLLOW};

#define ANY(list) list[(size_t)rand() % (sizeof list / sizeof list[0])]

static void make_path(char *to, int most) {
    size_t n = 0;
    *to = 0;
    if (rand() % 3 == 0) add_text(to, PATH_MAX, &n, "/");
    for (int left = rand() % most; left >= 0; left--) {
        add_text(to, PATH_MAX, &n, ANY(names));
        if (left > 0 || rand() % 6 == 0) add_text(to, PATH_MAX, &n, rand() % 5 ? "/" : "//");
    }
}

static void make_entry(int at) {
    char place[PATH_MAX], says[PATH_MAX];
    const char *path = place;
    make_path(place, 4);
    make_path(says, 5);
    while (*path == '/') path++;
    switch (rand() % 4) {
    case 0: sys(__NR_symlinkat, says, at, path); break;
    case 1: sys(__NR_close, sys(__NR_openat, at, path, O_CREAT | O_WRONLY, 0644)); break;
    case 2:
        if (!FAILED(sys(__NR_mkdirat, at, "mnt", 0755))) sys(__NR_mount, "t", "mnt", "tmpfs", 0, 0);
        break;
    default: sys(__NR_mkdirat, at, path, 0755);
    }
}

static int is_one(long a, long b) {
    struct statx s, t;
    if (FAILED(a) || FAILED(b)) return a == b;
    return !FAILED(look(a, &s)) && !FAILED(look(b, &t)) && s.stx_ino == t.stx_ino && mount_id(a) == mount_id(b);
}

static int look_up_one(int at) {
    char path[PATH_MAX];
    uint64_t flags = ANY(kinds), scope = ANY(scopes);
    struct open_how how = {flags | O_PATH | O_CLOEXEC, 0, scope | RESOLVE_NO_MAGICLINKS};
    long kernels = -EAGAIN;
    make_path(path, 8);
    while (kernels == -EAGAIN) kernels = sys(__NR_openat2, at, path, &how, sizeof how);
    long ours = walk(at, path, flags, scope);
    if (!is_one(kernels, ours)) printf("%s, flags %lx, scope %lx: %ld, not %ld\n", path, flags, scope, ours, kernels);
    if (!FAILED(ours)) sys(__NR_close, ours);
    return !FAILED(kernels) && !FAILED(sys(__NR_close, kernels));
}

/* Without arguments: is there an openat2 to compare with? */
int main(int argc, char **argv) {
    struct open_how none = {O_PATH, 0, 0};
    if (argc < 2) return FAILED(sys(__NR_openat2, AT_FDCWD, "/", &none, sizeof none));
    /* what a link makes of a path stays here: or entries come to lie in the machine's own root */
    if (FAILED(sys(__NR_chroot, "."))) return printf("no root of its own\n"), 1;
    int found = 0, seed = argc > 2 ? atoi(argv[1]) : 0, trees = argc > 2 ? atoi(argv[2]) : 0;
    for (int tree = 0; tree < trees; tree++) {
        char name[32];
        sprintf(name, "tree%d", tree);
        srand((unsigned)(seed + tree));
        sys(__NR_mkdirat, AT_FDCWD, name, 0755);
        int at = (int)sys(__NR_openat, AT_FDCWD, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        sys(__NR_fchdir, at);
        sys(__NR_mkdirat, at, "proc", 0755);
        if (tree % 3 == 0) sys(__NR_mount, "proc", "proc", "proc", 0, 0);
        for (int i = 0; i < ENTRIES; i++) make_entry(at);
        for (int i = 0; i < LOOKUPS; i++) found += look_up_one(at);
        sys(__NR_chdir, "..");
        sys(__NR_close, at);
    }
    printf("%d found\n", found);
}
