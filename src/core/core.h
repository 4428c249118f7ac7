/* What the files of the core lend each other. */
#ifndef NS_CORE_H
#define NS_CORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../plan.h"
#include "compat.h"

/* spawn.c: knows no Lua */

/* The launcher, in a sealed memfd that is made once and kept. */
struct launcher {
    int fd; /* -1: not made yet */
    dev_t device;
    ino_t inode;
    bool refused; /* this machine does not execute it: copy the host instead */
};

struct spawned {
    pid_t pid;
    int pidfd;
    int socket;
    const char *step; /* on failure: what was refused */
    int error;        /* and the errno */
};

/* Makes the new process, which waits for its plan. The `kept` descriptors stay open in it. 0, or -1 with step and error. */
int ns_spawn(struct spawned *, struct launcher *, uint64_t clone_flags, const int *kept, size_t count);
int ns_above_stdio(int fd);

/* tree.c */
void ns_kill_descendants(pid_t pid);

/* plan.c */
int nsL_encode(lua_State *L);
struct plan *nsL_checkplan(lua_State *L, int arg);

/* process.c */
void nsL_open_process(lua_State *L);
int nsL_launch(lua_State *L);

/* stream.c */
int nsL_fileno(lua_State *L);
int nsL_buffered(lua_State *L);
int nsL_bag(lua_State *L);
void nsL_open_bag(lua_State *L);
void nsL_open_stream(lua_State *L);
ssize_t ns_write_quietly(int fd, const char *bytes, size_t size);

/* capture.c */
void nsL_open_capture(lua_State *L);
int nsL_capture(lua_State *L);

/* constants.c */
int nsL_constants(lua_State *L);

/* a wait in seconds; none or negative waits for ever */
struct timespec;
struct timespec *ns_timeout(double seconds, struct timespec *);

#endif
