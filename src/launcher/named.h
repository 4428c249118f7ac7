/* What the init of a box with a name has besides: a socket that later hosts connect to, and what its program has
 * written. */
#ifndef NS_LAUNCHER_NAMED_H
#define NS_LAUNCHER_NAMED_H

#include <stdbool.h>
#include <stdint.h>

#include "../plan.h"

struct named {
    int listener;              /* -1: the box has no name */
    int output;                /* -1: nothing is kept, or all of it has been read */
    int self;                  /* a pidfd */
    int32_t protocol;          /* as its host has given it */
    bool full;                 /* there was no room for one more conversation: let a moment pass */
    uint32_t owner;            /* who has made the listener, as far as we can tell here */
    struct identity directory; /* that its socket lies in */
    uint64_t written;          /* to the log: that in there is for others to read */
    struct log *log;
};

/* Takes the first `count` descriptors (BOX_*); 0: the box has no name. `directory`: the bytes of a struct identity. 0
 * or -errno. */
long named_open(struct named *, uint32_t count, int32_t protocol, const char *directory);

/* Which directory it is; or -errno. */
long identify(int fd, struct identity *);

/* Has somebody opened the directory that our socket lies in, for reading? */
bool named_is_directory(const struct named *, int fd);

/* A conversation with somebody who has connected; or -errno, if there is none, or he is not to be heard. */
long named_accept(struct named *);

/* Answers REQUEST_BOX: what send_message() returns. */
long named_answer(const struct named *, int socket);

/* Reads what there is of the output; not without an end, as more may come all the time. */
void named_read_output(struct named *);

#endif
