/* What the init of a box with a name has besides: a socket that later hosts connect to, and what its program has written. */
#ifndef NS_NAMED_H
#define NS_NAMED_H

#include <stdbool.h>
#include <stdint.h>

struct log;

struct named {
    int listener;     /* -1: the box has no name */
    int output;       /* -1: nothing is kept, or all of it has been read */
    int self;         /* a pidfd */
    int32_t protocol; /* as its host has given it */
    bool full;        /* there was no room for one more conversation: let a moment pass */
    uint32_t owner;   /* who has made the listener, as far as we can tell here */
    uint64_t written; /* to the log: that in there is for others to read */
    struct log *log;
};

/* Takes the first `count` descriptors (BOX_*); 0: the box has no name. 0 or -errno. */
long named_open(struct named *, uint32_t count, int32_t protocol);

/* A conversation with somebody who has connected; or -errno, if there is none, or he is not to be heard. */
long named_accept(struct named *);

/* Answers REQUEST_BOX: what send_message() returns. */
long named_answer(const struct named *, int socket);

/* Reads what there is of the output; not without an end, as more may come all the time. */
void named_read_output(struct named *);

#endif
