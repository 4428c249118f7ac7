/* Every place is looked up beneath the root of the plan, where no link leads out. Places that are missing are made in
 * file systems that this plan has mounted itself, and nowhere else, unless a step says ANYWHERE: so nothing is made on
 * the host unasked. */
#ifndef NS_PLACES_H
#define NS_PLACES_H

#include "player.h"
#include "resolve.h"

/* What is to be made of a missing place. */
enum what { A_DIRECTORY, A_FILE };

/* Each returns a descriptor, or -errno. */
long root_of(struct player *);
long open_place(struct player *, const char *path, uint64_t flags);
long place(struct player *, const char *path, enum what, long mode);
long parent_of(struct player *, const char *path, char *above, char **name);
long follow(struct player *, char *way, char *end);
void copy_path(char *to, const char *path);

/* File systems of our making. check_ours: -EROFS for another one; a descriptor that is an error stays that error. */
long note_ours(struct player *, long fd);
long check_ours(const struct player *, long fd);
/* One in which places are made only where the step says MKDIR. */
long note_kept(struct player *, long fd);

/* Mounts that later places are looked up beneath (places.c): is the way to one fixed; notes one; gives back their
 * descriptors. */
int is_fixed(struct player *, const char *path);
long pin(struct player *, const char *path, long mount, int fixed);
void unpin(struct player *);

int is_same(long a, long b);
/* The same, where it must be known: 1, 0, or -errno. */
long compare(long a, long b);

#endif
