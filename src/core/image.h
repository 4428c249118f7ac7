/* The launcher as a file that can be executed. Knows no Lua. */
#ifndef NS_IMAGE_H
#define NS_IMAGE_H

#include <stdbool.h>
#include <sys/types.h>

struct boarding;

/* The launcher is executed from a sealed memfd, made once and kept; from a file; or it is not, and the host is copied. */
struct launcher {
    int fd; /* -1: not made yet */
    dev_t device;
    ino_t inode;
    enum { BY_MEMFD, BY_FILE, BY_COPY } way;
    struct boarding *spare; /* for the next child */
};

bool ns_have_image(struct launcher *, bool copy);
void ns_image_used(struct launcher *);
void ns_drop_image(struct launcher *);
bool ns_next_way(struct launcher *, int error);

#endif
