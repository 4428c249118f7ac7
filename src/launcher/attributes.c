/* What a directory says of itself, given to another: owner, mode, access control lists, and attributes of the
 * user's. */
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/mman.h>
#include <linux/stat.h>
#include <stddef.h>
#include <stdint.h>

#include "attributes.h"
#include "sys.h"
#include "text.h"

/* An access control list as an attribute (acl(5)): a version, and entries in this order. */
struct acl {
    uint32_t version;
    struct {
        uint16_t tag, bits;
        uint32_t id; /* NOBODY: it is not mapped */
    } entries[];
};
enum { USER = 2, GROUP_OBJ = 4, GROUP = 8, OTHER = 32 };
#define NOBODY 0xffffffffu

#define OVERFLOW_ID 65534 /* as which statx shows an id that is not mapped */

struct attributes {
    char names[XATTR_LIST_MAX], value[XATTR_SIZE_MAX];
};

static const char ACCESS[] = "system.posix_acl_access", DEFAULT[] = "system.posix_acl_default";

/* Takes out who is nobody here. A group that is nobody here has what all others have. Returns the new size. */
static size_t map_acl(struct acl *acl, size_t size, int foreign_group) {
    size_t n = 0, count = (size - offsetof(struct acl, entries)) / sizeof acl->entries[0];
    uint16_t others = 0;
    for (size_t i = 0; i < count; i++) {
        if (acl->entries[i].tag == OTHER) others = acl->entries[i].bits;
        if ((acl->entries[i].tag == USER || acl->entries[i].tag == GROUP) && acl->entries[i].id == NOBODY) continue;
        acl->entries[n++] = acl->entries[i];
    }
    for (size_t i = 0; i < n && foreign_group; i++)
        if (acl->entries[i].tag == GROUP_OBJ) acl->entries[i].bits = others;
    return offsetof(struct acl, entries) + n * sizeof acl->entries[0];
}

/* Lists guard what is in the directory; attributes of the user's may be unknown to the other file system. */
static long copy_attribute(const char *from, long to, const char *name, char *value, int foreign_group) {
    int access = starts_with(name, ACCESS), list = access || starts_with(name, DEFAULT);
    if (!list && (!starts_with(name, "user.") || starts_with(name, "user.overlay."))) return 0;
    long size = sys(__NR_getxattr, from, name, value, XATTR_SIZE_MAX);
    if (!list && FAILED(size)) return 0;
    if (FAILED(size)) return size == -ENODATA ? 0 : size;
    if (list && size < (long)sizeof(struct acl)) return -EINVAL;
    if (list) size = (long)map_acl((struct acl *)value, (size_t)size, access && foreign_group);
    long r = sys(__NR_fsetxattr, to, name, value, size, 0);
    return list ? r : 0;
}

static long copy_listed(const char *from, long to, struct attributes *a, int foreign_group) {
    long size = sys(__NR_listxattr, from, a->names, sizeof a->names), r = FAILED(size) ? size : 0;
    for (const char *name = a->names; !FAILED(r) && name < a->names + size; name++) {
        r = copy_attribute(from, to, name, a->value, foreign_group);
        while (*name) name++;
    }
    return r;
}

static long copy_extended(long from, long to, int foreign_group) {
    char source[32];
    long size = (long)sizeof(struct attributes), r = sys(__NR_listxattr, path_of(from, source), 0, 0);
    if (r == 0 || r == -EOPNOTSUPP) return 0;
    if (FAILED(r)) return r;
    long at = sys(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (FAILED(at)) return at;
    r = copy_listed(source, to, (struct attributes *)at, foreign_group);
    sys(__NR_munmap, at, size);
    return r;
}

/* An owner who is nobody in this user namespace cannot be given: that stays us. What a group may that is nobody here,
 * ours may not. */
long copy_attributes(long from, long to, int nested) {
    struct statx s;
    long r = sys(__NR_statx, from, "", AT_EMPTY_PATH, STATX_MODE | STATX_UID | STATX_GID, &s);
    if (FAILED(r)) return r;
    int foreign_owner = nested && s.stx_uid == OVERFLOW_ID, foreign_group = nested && s.stx_gid == OVERFLOW_ID;
    r = sys(__NR_fchownat, to, "", foreign_owner ? -1 : (int)s.stx_uid, foreign_group ? -1 : (int)s.stx_gid,
            AT_EMPTY_PATH);
    if (FAILED(r)) return r;
    long mode = s.stx_mode & 07777;
    if (foreign_group) mode = (mode & ~070) | (mode & 7) << 3;
    r = sys(__NR_fchmod, to, mode);
    if (!FAILED(r)) r = copy_extended(from, to, foreign_group);
    return FAILED(r) ? r : foreign_owner || foreign_group;
}
