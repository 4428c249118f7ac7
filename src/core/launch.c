/* From a launch to the launcher's last words: the handle is made, the plan is sent, the answer is read. */
#include "launch.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../launcher/sys.h"
#include "encode.h"
#include "handle.h"
#include "io.h"
#include "job.h"
#include "numbers.h"
#include "open.h"
#include "orphans.h"
#include "result.h"

/* The inherited descriptors, from the list at the index, into memory that Lua owns. */
static int *check_descriptors(lua_State *L, int arg, size_t *count) {
    luaL_checktype(L, arg, LUA_TTABLE);
    *count = nsL_rawlen(L, arg);
    int *list = lua_newuserdata(L, (*count + 1) * sizeof *list);
    for (size_t i = 0; i < *count; i++) {
        lua_rawgeti(L, arg, (int)i + 1);
        list[i] = (int)luaL_checkinteger(L, -1);
        lua_pop(L, 1);
    }
    return list;
}

static int image_close(lua_State *L) {
    ns_forget_image(lua_touserdata(L, 1));
    return 0;
}

struct image *nsL_image(lua_State *L) {
    static const char key[] = "ns.launcher";
    lua_getfield(L, LUA_REGISTRYINDEX, key);
    struct image *image = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (image) return image;
    image = lua_newuserdata(L, sizeof *image);
    *image = (struct image){.fd = -1};
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, image_close);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_setfield(L, LUA_REGISTRYINDEX, key);
    return image;
}

/* launcher_way() -> "memfd", "file" or "copy": how the launcher comes to run, as far as was seen */
static int launcher_way(lua_State *L) {
    static const char *const names[] = {"memfd", "file", "copy"};
    lua_pushstring(L, names[nsL_image(L)->way]);
    return 1;
}

/* launcher() -> a descriptor for what is executed, closed by whoever has made it | nil, "execveat", errno */
static int launcher(lua_State *L) {
    struct image *image = nsL_image(L);
    if (!ns_have_image(image, false)) return nsL_refused(L, "execveat", errno);
    lua_pushinteger(L, image->fd);
    return 1;
}

/* launch(clone flags, inherited descriptors, copy, drop, [joins], [group]) -> handle, pid | nil, step, errno; or, in a
 * copy of the host that has played its plan, "copy". copy: may the host be copied, where nothing can be executed
 * ("may"), or is it anyway ("go on")? drop: are the host's groups dropped? joins: clone flags, too, of the process that
 * this one makes when it has entered namespaces. group: a descriptor of the control group that it is born in; true: it
 * will be moved into one, when it has left our memory */
static int launch(lua_State *L) {
    size_t count;
    uint64_t flags = (uint64_t)luaL_checknumber(L, 1);
    const char *copy = luaL_optstring(L, 3, "");
    int how = (*copy == 'm' ? NS_MAY_COPY : *copy == 'g' ? NS_COPY : 0) | (lua_toboolean(L, 4) ? NS_DROP_GROUPS : 0);
    if (lua_isboolean(L, 6) && lua_toboolean(L, 6)) how |= NS_AWAIT_EXEC;
    int group = lua_type(L, 6) == LUA_TNUMBER ? (int)lua_tointeger(L, 6) : -1;
    bool joins = lua_type(L, 5) == LUA_TNUMBER;
    uint64_t then = joins ? (uint64_t)lua_tonumber(L, 5) : 0; /* what is pushed now lies there if they are missing */
    int *inherited = check_descriptors(L, 2, &count);
    struct image *image = nsL_image(L);
    nsL_reap_orphans(L);
    struct process *p = lua_newuserdata(L, sizeof *p);
    memset(p, 0, sizeof *p);
    p->s.pidfd = p->s.socket = p->told = p->pty = p->log = -1;
    p->image = image;
    p->age = image->age;
    p->copy = how & NS_COPY;
    p->alone = !((flags | then) & CLONE_NEWPID);
    p->joins = joins;
    nsL_setclass(L, PROCESS);
    if (ns_spawn(&p->s, image, flags, inherited, count, how, group) < 0) return nsL_refused(L, p->s.step, p->s.error);
    if (p->s.pid == 0) {
        image->age++;
        lua_pushliteral(L, "copy");
        return 1;
    }
    p->open = true;
    lua_pushinteger(L, p->s.pid);
    return 2;
}

/* Is it of a start? What an init tells later may be forged by a program that has taken the init's socket before the
 * init itself has told that the program runs: it counts for nothing. */
static bool is_of_start(const struct process *p, const struct record *r, bool joins) {
    return r->step <= p->count || r->step == INIT_STATUS || (r->step == LAUNCHER_CLONED && joins);
}

/* 1 the launcher has nothing more to say, 0 not yet. A record is so short that it comes whole. No launcher sends
 * this many: a program has taken its socket. */
static int read_records(struct process *p) {
    bool joins = p->joins;
    for (int i = 0; i < 256; i++) {
        struct record r = {0, 0};
        ssize_t n = ns_hear_launcher(p, &r);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
        if (n != (ssize_t)sizeof r) return 1;
        if (!is_of_start(p, &r, joins)) continue;
        p->last = r;
        p->heard = true;
        if (joins != p->joins || r.error != 0 || (p->init && r.step == p->init)) return 1;
    }
    return 1;
}

/* Where the plan lies in the memory of the process with that number. A job's init has told both by now. */
static unsigned long find_plan(struct process *p, pid_t *pid) {
    *pid = p->s.pid;
    if (!p->job) return PLAN_ADDRESS;
    ns_reap(p);
    *pid = p->s.pidfd < 0 ? 0 : ns_proc_pid(p->s.pidfd);
    return PLAN_ADDRESS + (unsigned long)p->place * PLAN_SPACING;
}

/* The step that hangs: the launcher notes it in its copy of the plan. 0 if that cannot be read. */
static uint32_t current_step(struct process *p) {
    pid_t pid;
    struct plan head = {0};
    struct iovec here = {&head, sizeof head}, there = {(void *)find_plan(p, &pid), sizeof head};
    if (sys(__NR_process_vm_readv, pid, &here, 1, &there, 1, 0) != sizeof head) return 0;
    return head.magic == PLAN_MAGIC ? head.current : 0;
}

/* The launcher was not executed. If another way to execute it is left, Lua is asked to try again: the next launch takes
 * it. */
static int push_exec_error(lua_State *L, struct process *p) {
    int error = p->last.error;
    if (ns_next_way(p->image, error)) return nsL_refused(L, "retry", error);
    return nsL_refused(L, "exec", error);
}

static int push_death(lua_State *L, struct process *p) {
    struct pollfd poll = {ns_end_fd(p), POLLIN, 0};
    struct timespec soon = {1, 0};
    ppoll(&poll, 1, &soon, NULL);
    ns_reap(p);
    nsL_refused(L, "died", p->code);
    lua_pushstring(L, p->state == KILLED ? "signal" : "exit");
    return 4;
}

/* The process that the next plan is for is there. */
static int push_joined(lua_State *L, struct process *p) {
    p->heard = false;
    if (p->s.pidfd < 0) return nsL_refused(L, "clone", EMFILE);
    lua_pushboolean(L, 1);
    return 1;
}

/* A copy of us has died before it went on, and its init was there already, and has told so. */
static int push_told_death(lua_State *L, int status) {
    nsL_refused(L, "died", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    lua_pushstring(L, WIFSIGNALED(status) ? "signal" : "exit");
    return 4;
}

/* What the launcher's last words mean. */
static int push_answer(lua_State *L, struct process *p) {
    if (!p->heard) return push_death(L, p);
    if (p->last.step == LAUNCHER_CLONED && p->s.sent == 0) return push_joined(L, p);
    if (p->last.step == INIT_STATUS) return push_told_death(L, p->last.error);
    if (p->last.step == 0) return p->job ? nsL_refused(L, "job", p->last.error) : push_exec_error(L, p);
    if (p->last.error != 0 && p->copy && p->last.step == p->init && ns_next_way(p->image, p->last.error))
        return nsL_refused(L, "retry", p->last.error);
    if (p->last.error != 0) {
        nsL_refused(L, "step", p->last.error);
        lua_pushinteger(L, p->last.step);
        return 4;
    }
    if (p->init && p->last.step != p->init) return push_death(L, p); /* the program runs, but the init is dead */
    ns_child_gone(&p->s, p->image);
    if (!p->init && p->s.socket >= 0) {
        close(p->s.socket);
        p->s.socket = -1;
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* Of a job both must have been heard, its launcher and its init, which tells who it is. Once the init has told its
 * last, the launcher has, too: nobody else is waited for that has taken one of their sockets. */
static int push_job_answer(lua_State *L, struct process *p, bool answered) {
    ns_reap(p);
    if (p->refused) return nsL_refused(L, "init", p->refused);
    if (p->state != RUNNING && !answered && p->s.socket >= 0) answered = true, read_records(p);
    if (answered) {
        close(p->s.socket);
        p->s.socket = -1;
    }
    if (p->state != RUNNING && p->s.pidfd < 0) return nsL_refused(L, "job", EPIPE);
    if (p->s.socket >= 0 || p->s.pidfd < 0) return 0;
    return push_answer(L, p);
}

/* What was said, if that is all: 0, if it is not. */
static int push_said(lua_State *L, struct process *p, bool answered, bool ended) {
    if (p->job) return push_job_answer(L, p, answered);
    if (!answered && !ended) return 0;
    if (!answered) read_records(p);
    return push_answer(L, p);
}

int nsL_play(lua_State *L) {
    struct process *p = nsL_checkprocess(L);
    struct plan *plan = nsL_checkplan(L, 2);
    struct timespec t, *timeout = ns_timeout(luaL_optnumber(L, 3, -1), &t);
    p->init = p->job ? 0 : (uint32_t)luaL_optinteger(L, 4, 0);
    p->count = plan->count;
    int sent = ns_send_plan(&p->s, plan);
    if (sent < 0 && errno != EPIPE && errno != ECONNRESET) return nsL_refused(L, "plan", errno);
    if (sent < 0 && !p->job) return read_records(p), push_answer(L, p);
    struct pollfd polls[] = {{p->s.socket, (short)((sent ? 0 : POLLOUT) | (p->init || p->joins ? POLLIN : 0)), 0},
                             {p->job && p->s.socket >= 0 ? -1 : ns_end_fd(p), POLLIN, 0}};
    int r = ppoll(polls, 2, timeout, NULL);
    bool answered = r > 0 && polls[0].revents & (POLLIN | POLLHUP | POLLERR) && read_records(p);
    int pushed = r == 0 ? 0 : push_said(L, p, answered, r > 0 && polls[1].revents);
    if (pushed) return pushed;
    if (r != 0 && !ns_is_over(timeout)) return nsL_refused(L, "again", 0);
    nsL_refused(L, "timeout", 0);
    lua_pushinteger(L, current_step(p));
    return 4;
}

static const luaL_Reg functions[] = {
    {"launch", launch}, {"launcher", launcher}, {"launcher_way", launcher_way}, {NULL, NULL}};

void nsL_open_launch(lua_State *L) { nsL_setfuncs(L, functions); }
