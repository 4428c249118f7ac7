/* The raw system calls of the test build: each is recorded, and one of them may be answered with an error, or may be where
 * the process stops. Compiled into the launcher, without a C library, and into the core. */
#include "fault.h"

#include <stddef.h>

#include "../src/launcher/sys.h"
#include "../src/plan.h"

/* Where this process is in its plan. A child that shares the host's memory has the second of three, a job that shares its
 * init's the third. */
struct place {
    int32_t process, step, inner;
    uint32_t nth;
    const struct plan *plan;
    struct fault_event *last;
};

static struct place places[3];
struct fault_page *fault_page;

/* The stack of a job lies where its plan does. */
static struct place *place_here(void) {
    unsigned long here = (unsigned long)__builtin_frame_address(0);
    return &places[here - PLAN_ADDRESS < PLAN_PLACES * PLAN_SPACING ? 2 : 1];
}

#if __STDC_HOSTED__
int fault_in_host(void) { return sys6(__NR_getpid, 0, 0, 0, 0, 0, 0) == fault_page->host; }
#else
static struct fault_page none;

/* The page of the host; without one nothing fails. */
static void open_page(void) {
    long at = sys6(SYS_mmap, 0, sizeof none, 3, 1 /* MAP_SHARED */, FAULT_FD, 0);
    fault_page = FAILED(at) ? &none : (struct fault_page *)at;
    places[1].process = fault_page->launched;
}

int fault_in_host(void) { return 0; }
int fault_of_host(const char *name, long call, const char *function) {
    return (void)name, (void)call, (void)function, 0;
}
void fault_before_clone(void) {}
void fault_after_clone(long pid) { (void)pid; }
#endif

static void copy(char *to, const char *from, size_t size) {
    size_t i = 0;
    for (; from && from[i] && i < size - 1; i++) ((volatile char *)to)[i] = from[i];
    to[i] = 0;
}

void fault_note(int32_t process, int32_t step, int32_t call, uint32_t nth, const char *name, const char *function) {
    uint32_t at = __atomic_fetch_add(&fault_page->count, 1, __ATOMIC_SEQ_CST);
    if (at >= FAULT_EVENTS) return;
    struct fault_event *e = &fault_page->events[at];
    *e = (struct fault_event){process, step, call, nth, 1, "", ""};
    copy(e->name, name, sizeof e->name);
    copy(e->function, function, sizeof e->function);
    (fault_in_host() ? &places[0] : place_here())->last = e;
}

/* A new child begins; it is the host that says so. */
void fault_reset(void) { places[1] = (struct place){.process = fault_page->launched}; }

static int same(const char *a, const char *b) {
    size_t i = 0;
    while (a[i] && a[i] == b[i] && i < sizeof fault_page->events[0].function - 2) i++;
    return a[i] == b[i];
}

static void record(struct place *p, long n, const char *function) {
    struct fault_event *e = p->last;
    if (e && e->step == p->step && e->call == n && same(e->function, function))
        e->count++;
    else
        fault_note(p->process, p->step, (int32_t)n, p->nth, 0, function);
}

static void stop_here(const struct place *p) {
    __atomic_store_n(&fault_page->stopped, p->inner ? 2 : 1, __ATOMIC_SEQ_CST);
    for (;;) sys6(__NR_ppoll, 0, 0, 0, 0, 8, 0);
}

/* The error that this call is answered with, 0 for none. May stop for good. */
static int fault_of_child(struct place *p, long n, int32_t step, const char *function) {
    struct fault_page *page = fault_page;
    p->nth = step == p->step ? p->nth + 1 : 1;
    p->step = step;
    if (!(page->on & FAULT_INSIDE)) return 0;
    record(p, n, function);
    int here = page->process == p->process && page->step == step && page->nth == p->nth && page->call == n;
    if (!page->action || page->fired || !here) return 0;
    page->fired = 1;
    if (page->action != FAULT_FAIL) stop_here(p);
    return page->error;
}

static int is_job(const char *function) { return same(function, "begin_job"); }

/* A launcher that joins makes the process of the next plan, and so does the init of a living box: that one is counted as those
 * that the host makes. */
static int makes_another(const char *function, long n, long a) {
    return n == __NR_clone && (a & 0x8000 /* CLONE_PARENT */ || is_job(function));
}

/* A job is told by its init, whose number for it is not the host's. */
static void follow_other(struct place *p, const char *function, long r) {
    int32_t made = fault_page->made;
    if (r > 0 && made < FAULT_PROCESSES)
        fault_page->pids[made] = is_job(function) ? fault_page->pids[p->process] : (int32_t)r;
    if (r == 0) *p = (struct place){.process = made, .inner = is_job(function)};
}

/* What the call has changed in our picture of the process. */
static void follow(struct place *p, const char *function, long n, long a, long r) {
    if (makes_another(function, n, a)) {
        follow_other(p, function, r);
        return;
    }
    if (n == SYS_mmap && same(function, "read_plan") && !FAILED(r)) p->plan = (const struct plan *)r;
    if (n == __NR_clone && r == 0) p->inner = 1;
    if (n == __NR_munmap && a == (long)p->plan) p->plan = 0;
    if (n == __NR_close_range && p->step < 0)
        sys6(__NR_fcntl, FAULT_FD, 2 /* F_SETFD */, 0, 0, 0, 0); /* the page lives on */
}

static long host_call(const char *function, long n, long a, long b, long c, long d, long e, long f) {
    int error = fault_of_host(0, n, function);
    if (error && n != __NR_close) return -error;
    if (n == __NR_clone) fault_before_clone();
    long r = sys6(n, a, b, c, d, e, f);
    if (n == __NR_clone && r > 0) fault_after_clone(r);
    return error ? -error : r;
}

/* The core's own calls are made by the host, or by its child before that has executed the launcher. */
static int is_boarding(const char *file) {
    const char core[] = "src/core/";
    size_t i = 0;
    while (core[i] && core[i] == file[i]) i++;
    return !core[i];
}

static const struct plan *plan_below(long stack) { return (const struct plan *)(stack & ~(long)(PLAN_SPACING - 1)); }

/* begin: of a clone(2) with a stack of its own */
static long call_inside(const char *file, const char *function, long n, const long *a, void (*begin)(void *),
                        void *argument) {
    struct place *p = place_here();
    int32_t step = is_boarding(file) ? -1 : p->plan ? (int32_t)p->plan->current : p->step > 0 ? p->step : 0;
    if (step >= 0) fault_page->begun = p->process;
    int error = fault_of_child(p, n, step, function);
    if (error && n != __NR_close) return -error; /* close(2) closes, whatever it says */
    if (n == __NR_exit_group) fault_page->left = p->process;
    if (makes_another(function, n, a[0])) fault_page->made = ++fault_page->launched;
    if (begin) places[2] = (struct place){.process = fault_page->made, .inner = 1, .plan = plan_below(a[1])};
    long r = begin ? clone6(a[0], (long *)a[1], (int *)a[2], (int *)a[3], begin, argument)
                   : sys6(n, a[0], a[1], a[2], a[3], a[4], a[5]);
    follow(p, function, n, a[0], r);
    return error ? -error : r;
}

long fault_call(const char *file, const char *function, long n, long a, long b, long c, long d, long e, long f) {
#if !__STDC_HOSTED__
    if (!fault_page) open_page();
#else
    if (!fault_page) return sys6(n, a, b, c, d, e, f);
#endif
    if (fault_in_host()) return host_call(function, n, a, b, c, d, e, f);
    const long arguments[] = {a, b, c, d, e, f};
    return call_inside(file, function, n, arguments, 0, 0);
}

long fault_clone(const char *file, const char *function, long flags, long *stack, int *pidfd, int *number,
                 void (*begin)(void *), void *argument) {
    const long arguments[] = {flags, (long)stack, (long)pidfd, (long)number, 0, 0};
    return call_inside(file, function, __NR_clone, arguments, begin, argument);
}
