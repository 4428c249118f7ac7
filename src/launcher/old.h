/* The calls of trees.c, done with mount(2). flags, set, clear: MS_RDONLY, NOSUID, NODEV or NOEXEC, which have the
 * values of the MOUNT_ATTR_* of that name. */
#ifndef NS_OLD_H
#define NS_OLD_H

#include <stdint.h>

long old_fs(const char *type, char **options, uint64_t flags);
long old_clone(long from);
long old_move(long tree, long to);
long old_attributes(long tree, uint64_t set, uint64_t clear, int recursive);
long old_propagation(long tree, uint64_t kind, int recursive);
long old_close(void);

#endif
