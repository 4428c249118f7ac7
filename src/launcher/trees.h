/* Mounts before they have their place: made, and given their attributes, where nobody sees them yet. */
#ifndef NS_TREES_H
#define NS_TREES_H

#include "player.h"

/* Each returns a descriptor, or -errno. flags: MOUNT_ATTR_*. */
long new_fs(const char *type, char **options, uint64_t flags);
long clone_tree(long from, uint64_t flags);

long set_attributes(long tree, uint64_t set, uint64_t clear, int recursive);
long set_propagation(long tree, uint64_t kind, int recursive);

/* Puts it on a directory or a file, or on its place; its descriptor stays with the caller. */
long move_tree(long tree, long to);
long attach(struct player *, long tree, const char *path);
/* The same for what is a file. Its path need not outlive the call, as that of a directory: that is pinned. */
long attach_file(struct player *, long tree, const char *path);
/* The same, and it is the root from then on; what it lies on goes with the old root. */
long attach_root(struct player *, long tree, const char *path);
/* a FUSE mount may let nobody inside look at it: it is a directory then */
long attach_part(struct player *, long tree, const char *path);

#endif
