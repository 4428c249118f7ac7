#ifndef NS_HANDLE_H
#define NS_HANDLE_H

#include <stdbool.h>
#include <sys/resource.h>

#include "compat.h"
#include "spawn.h"

#define PROCESS "ns.Handle"

enum { HANDED_MAX = 64 };

struct process {
    bool open;
    struct spawned s; /* of a job: pidfd -1 until its init has told */
    struct image *image;
    unsigned age;       /* the image's when it was started: in a copy of us it is not that copy's process */
    struct record last; /* what the launcher has said last, once it was heard at all */
    bool heard;
    uint32_t count; /* the steps of its plan */
    uint32_t init;  /* the number of the step that leaves an init behind; 0 without one */
    bool joins;     /* its launcher enters namespaces of others, and makes the process that the program will be */
    bool copy;      /* of us, which goes on in place of a program */
    bool job;       /* of a living box: a child of its init, which tells of it */
    int pty;        /* the host's end of a terminal that its launcher has opened in the box; -1 if it has not */
    int told;       /* where the init does that; -1 when the box has ended */
    int place;      /* where its plan lies (plan.h) */
    bool box;       /* it is the init of a box with a name, as found by that: told is a conversation with it */
    int log;        /* of such a box: what its program has written; -1: that is not kept */
    int end;        /* of such a box, once it has told its end: as of wait4(2); else -1 */
    int refused;    /* why the init could not make it: an errno */
    int stop;       /* the signal that has stopped it, as the init has told */
    int handed[HANDED_MAX]; /* sockets that its launcher has made for us */
    int handed_count;
    int uppers[HANDED_MAX]; /* of the overlays that are thrown away, in the order of the plan */
    int upper_count;
    bool detached;
    bool alone;  /* no pid namespace ends the rest of its tree */
    bool ending; /* it was told to end, and its group with it */
    pid_t left;  /* what its init could not end */
    enum { RUNNING, EXITED, KILLED, LOST } state;
    int code;    /* exit status or signal */
    bool unseen; /* somebody else has reaped it: there is no usage */
    struct rusage usage;
};

/* Not closed, and ours. */
static inline bool ns_is_open(const struct process *p) { return p->open && p->age == p->image->age; }

/* Where an init is asked; -1: nowhere any more. */
static inline int ns_asked(const struct process *p) { return p->box ? p->told : p->s.socket; }

/* The handle that is the first argument; an error if it is closed. */
struct process *nsL_checkprocess(lua_State *L);

/* Notes the status if the process has ended. */
void ns_reap(struct process *p);

/* The next record of a launcher, as recv(2), and what it sends with that: a job's its pid, one that opens a terminal
 * the host's end of it. When one that joins says that it has made the process that the program will be, that is ours
 * from then on in its place. */
ssize_t ns_hear_launcher(struct process *p, struct record *r);

/* A launcher that joins has ended: not without a word, if it has made that process. */
void ns_find_joined(struct process *p);

/* A launcher that is given up while it joins has perhaps made that process already: then it is ours to end. */
void ns_await_joined(struct process *p);

/* What is readable when it has ended; for a job, when its init has told something. */
int ns_end_fd(const struct process *p);

/* Has an init said that the program was stopped, and by which signal? What it says of the end is left for ns_reap(). */
int ns_told_stop(const struct process *p);

/* Closes its descriptors, and does nothing else. */
void ns_close_handle(struct process *);

/* Where a filter or a tool does not let us use pidfds, the pid must do: it is not reaped, so it is still nobody
 * else's. */
long ns_signal(pid_t pid, int pidfd, int signal);

#endif
