/* What the files of the core lend each other. */
#ifndef NS_CORE_H
#define NS_CORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../plan.h"
#include "compat.h"

/* spawn.c: knows no Lua */

struct boarding;

/* The launcher is executed from a sealed memfd, made once and kept; from a file; or it is not, and the host is copied. */
struct launcher {
    int fd; /* -1: not made yet */
    dev_t device;
    ino_t inode;
    enum { BY_MEMFD, BY_FILE, BY_COPY } way;
    struct boarding *spare; /* for the next child */
};

struct spawned {
    pid_t pid;
    int pidfd;
    int socket;
    uint32_t sent;             /* bytes of the plan that are on their way */
    struct boarding *boarding; /* while the child may still be in our memory */
    const char *step;          /* on failure: what was refused */
    int error;                 /* and the errno */
};

/* Makes the new process, in which the `kept` descriptors stay open; copy: it may be a copy of us; drop: without our groups. It
 * waits for its plan. 0, or -1 with step and error. */
int ns_spawn(struct spawned *, struct launcher *, uint64_t clone_flags, const int *kept, size_t count, bool copy,
             bool drop);
void ns_boarded(struct spawned *, struct launcher *);
void ns_forget_launcher(struct launcher *);
int ns_send_plan(struct spawned *, const struct plan *);
int ns_above_stdio(int fd);

/* image.c: knows no Lua */
bool ns_have_image(struct launcher *, bool copy);
void ns_image_used(struct launcher *);
void ns_drop_image(struct launcher *);
bool ns_next_way(struct launcher *, int error);

/* tree.c */
pid_t ns_kill_descendants(pid_t pid, int pidfd);
int nsL_proc_pid(lua_State *L);
int nsL_tree(lua_State *L);
void nsL_open_tree(lua_State *L);

/* orphans.c */
void nsL_orphan(lua_State *L, int pidfd);
void nsL_reap_orphans(lua_State *L);
void nsL_watch_orphans(lua_State *L);
void nsL_open_orphans(lua_State *L);

/* plan.c */
int nsL_encode(lua_State *L);
struct plan *nsL_checkplan(lua_State *L, int arg);

/* process.c, launch.c */
long ns_signal(pid_t pid, int pidfd, int signal);
void nsL_open_process(lua_State *L);
int nsL_launch(lua_State *L);
int nsL_launches(lua_State *L);

/* bag.c */
int nsL_bag(lua_State *L);
void nsL_open_bag(lua_State *L);

/* stream.c */
int nsL_fileno(lua_State *L);
int nsL_ahead(lua_State *L);
int nsL_buffered(lua_State *L);
int nsL_pending(lua_State *L);
int nsL_hurry(lua_State *L);
int nsL_read_now(lua_State *L);
int nsL_write_now(lua_State *L);
bool nsL_pushfile(lua_State *L, int fd, const char *mode, int owner);
void nsL_open_stream(lua_State *L);

/* signals.c */
int nsL_catch(lua_State *L);
void nsL_open_signals(lua_State *L);

/* watch.c */
int nsL_watch(lua_State *L);
int nsL_poll(lua_State *L);
void nsL_open_watch(lua_State *L);

/* quiet.c */
ssize_t ns_write_quietly(int fd, const char *bytes, size_t size);

/* terminal.c */
void nsL_open_terminal(lua_State *L);

/* capture.c */
void nsL_open_capture(lua_State *L);
int nsL_capture(lua_State *L);

/* constants.c */
int nsL_constants(lua_State *L);

/* core.c: results. nil, what was refused, errno; nil, message, errno; a number, or the failure that errno tells if it is
 * negative; true, or the failure of a raw system call. Each returns how many values it has pushed. */
int nsL_refused(lua_State *L, const char *step, int error);
int nsL_failed(lua_State *L, int error);
int nsL_number(lua_State *L, int value);
int nsL_done(lua_State *L, long result);

/* host.c, probe.c, terminal.c */
extern const luaL_Reg ns_host_functions[], ns_probe_functions[], ns_terminal_functions[];
void nsL_open_host(lua_State *L);

/* a wait in seconds; none or negative waits for ever */
struct timespec;
struct timespec *ns_timeout(double seconds, struct timespec *);

#endif
