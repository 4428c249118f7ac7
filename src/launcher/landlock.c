/* The ops of Landlock, landlock(7): what the program may reach, whatever its ids may. A ruleset is made first, and what
 * the rules of it do not give is refused from the last step on. It is made before the limits are lowered, as it takes
 * descriptors. */
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/stat.h>
#include <stddef.h>

#include "numbers.h"
#include "ops.h"
#include "resolve.h"
#include "sys.h"

/* As the kernel's own, of which a header may know less: zeros at the end are what an older kernel takes. */
struct ruleset {
    uint64_t files, ports, scopes;
};

struct path_rule {
    uint64_t rights;
    int32_t fd;
} __attribute__((packed));

struct port_rule {
    uint64_t rights, port;
};

/* flags, value, limit: what is refused without a rule, of files and of ports, and what ends at the program */
long op_landlock(struct player *p, const struct step *s) {
    struct ruleset ruleset = {s->flags, (uint64_t)s->value, (uint64_t)s->limit};
    long fd = sys(__NR_landlock_create_ruleset, &ruleset, sizeof ruleset, 0);
    if (FAILED(fd)) return fd;
    p->ruleset = (int)fd;
    return 0;
}

/* Rights for what fd is. Of what is no directory it takes only those that a file can have; and none for a pipe or a
 * socket, which has no place among the files, and is never refused. */
static long allow(const struct player *p, const struct step *s, long fd) {
    struct statx status;
    long r = look(fd, &status);
    if (FAILED(r)) return r;
    struct path_rule rule = {is_directory(&status) ? s->flags : s->flags & ~s->clear, (int32_t)fd};
    r = rule.rights ? sys(__NR_landlock_add_rule, p->ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) : 0;
    return r == -EBADFD ? 0 : r;
}

/* path, source: as those of lookup; flags: the rights to it, and to all beneath it; clear: those that only a directory
 * has */
long op_landlock_path(struct player *p, const struct step *s) {
    long fd = look_up(plan_string(p, s->path), plan_string(p, s->source));
    if (FAILED(fd)) return fd;
    long r = allow(p, s, fd);
    sys(__NR_close, fd);
    return r;
}

/* value: the port; flags: the rights to it */
long op_landlock_port(struct player *p, const struct step *s) {
    struct port_rule rule = {s->flags, (uint64_t)s->value};
    return sys(__NR_landlock_add_rule, p->ruleset, LANDLOCK_RULE_NET_PORT, &rule, 0);
}

/* From here on all of it holds, for us and for whatever we start. */
long op_landlock_restrict(struct player *p, const struct step *s) {
    (void)s;
    long r = sys(__NR_landlock_restrict_self, p->ruleset, 0);
    sys(__NR_close, p->ruleset);
    return r;
}
