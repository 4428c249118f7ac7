/* The launcher as a file that can be executed. Knows no Lua. */
#ifndef NS_IMAGE_H
#define NS_IMAGE_H

#include <stdbool.h>
#include <sys/types.h>

struct child;

/* Where the launcher is executed from: a sealed memfd, which serves for all starts; a file without a name, where memfds
 * may not be executed; or it is not executed at all, and each child is a copy of the host that plays the plan
 * itself. */
struct image {
    int fd; /* -1: not made yet */
    dev_t device;
    ino_t inode;
    enum { BY_MEMFD, BY_FILE, BY_COPY } way;
    struct child *spare; /* for the next child */
    unsigned age;        /* how often the process that has this Lua state is a copy of another one that had it */
};

bool ns_have_image(struct image *, bool copy);
void ns_image_used(struct image *);
void ns_drop_image(struct image *);
bool ns_next_way(struct image *, int error);

#endif
