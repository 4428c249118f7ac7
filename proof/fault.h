/* Included before every file of the test build that proof/faults.lua loads: each raw system call goes through fault_call(),
 * and so does, by the linker's --wrap, each function of the C library that can fail (fault_host.c). The release build has
 * nothing of it. */
#ifndef NS_FAULT_H
#define NS_FAULT_H

#include <stdint.h>

#define SYS_CALL(...) fault_call(__FILE__, __func__, __VA_ARGS__)
#define SYS_CLONE(...) fault_clone(__FILE__, __func__, __VA_ARGS__)
long fault_call(const char *file, const char *function, long n, long a, long b, long c, long d, long e, long f);
long fault_clone(const char *file, const char *function, long flags, long *stack, int *pidfd, int *number,
                 void (*begin)(void *), void *argument);

/* Between it and the frame that it is called in there is no function of ours, as its child goes on in that. */
#define SYS_CLONE3(arguments, size) \
    (fault_before_clone3(__func__) \
         ?: fault_after_clone3(sys6(__NR_clone3, (long)(arguments), (long)(size), 0, 0, 0, 0)))
long fault_before_clone3(const char *function);
long fault_after_clone3(long pid);

/* The descriptor of the page below, in the host and in every launcher. */
#define FAULT_FD 900

enum { FAULT_FAIL = 1, FAULT_HANG, FAULT_DIE };
enum { FAULT_HOST = 1, FAULT_INSIDE = 2 };
enum { FAULT_EVENTS = 4000, FAULT_PROCESSES = 8 };

/* Calls of one kind that follow each other in one step, or one call of the host. */
struct fault_event {
    int32_t process; /* 0: the host; else the number of the spawned process, in their order */
    int32_t step;    /* -1: before the launcher is executed; 0: before its first step; else its step */
    int32_t call;    /* number of the system call; -1: the function `name` of the C library */
    uint32_t first;  /* the first of them is the n-th call of the step; in the host, the n-th of its kind */
    uint32_t count;
    char name[16], function[28];
};

/* What the host and the launchers share. */
struct fault_page {
    int32_t host; /* its pid */
    int32_t on;   /* FAULT_HOST, FAULT_INSIDE: where calls are recorded, and may fail */

    int32_t action; /* the fault, at one event; 0: none */
    int32_t process, step, call, error;
    uint32_t nth;
    char name[16];
    int32_t fired, killed;
    int32_t stopped; /* 1: the process stands at the fault; 2: it is the child of an init */

    int32_t launched, begun, left;
    int32_t made; /* the number of a process that a launcher has made, which plays a plan of its own; 0: none */
    int32_t pids[FAULT_PROCESSES];
    uint32_t count;
    struct fault_event events[FAULT_EVENTS];
};

/* fault.c, for fault_host.c */
extern struct fault_page *fault_page;
void fault_note(int32_t process, int32_t step, int32_t call, uint32_t nth, const char *name, const char *function);
void fault_reset(void);
int fault_in_host(void);

/* fault_host.c, for fault.c */
int fault_of_host(const char *name, long call, const char *function);
void fault_before_clone(void);
void fault_after_clone(long pid);

#endif
