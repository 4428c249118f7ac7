/* A job begins as a child that shares the init's memory until it executes the program: to copy that memory, as fork(2)
 * does, costs more than all else that a short program costs. The init does not sleep meanwhile, as with vfork(2): a job
 * whose start hangs must not keep it from the others. So the child has a stack of its own, and its plan beside it; it
 * writes nowhere else.
 *
 * It is as closed to others as the init is, with whose memory it has that flag. When it has left, nothing of its plan
 * stays for who may read our memory. */
#include "begin.h"

#include <linux/errno.h>
#include <linux/mman.h>
#include <linux/sched.h>
#include <stddef.h>

#include "numbers.h"
#include "sys.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

enum { UNIT = 65536, STACK = UNIT }; /* bytes: the largest page, so the memory is whole pages */

static char *first_byte(struct beginning *b) { return (char *)(b + 1) - b->size; }

static void run(void *argument) {
    struct beginning *b = argument;
    b->play(b->socket, first_byte(b), b->room);
}

static long map_at(int place, uint32_t size) {
    int fixed = place < PLAN_PLACES ? MAP_FIXED_NOREPLACE : 0;
    unsigned long at = fixed ? PLAN_ADDRESS + (unsigned long)place * PLAN_SPACING : 0;
    return sys(SYS_mmap, at, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | fixed, -1, 0);
}

/* A mapping of its own, at the first place where none is in the way. */
static long map(struct beginning **made, uint32_t size) {
    int place = 0;
    long at;
    while ((at = map_at(place, size)) == -EEXIST) place++;
    if (FAILED(at)) return at;
    struct beginning *b = (struct beginning *)((uintptr_t)at + size) - 1;
    *b = (struct beginning){.place = place, .size = size, .room = size - STACK};
    *made = b;
    return 0;
}

void prepare_beginning(struct beginning **spare) {
    if (FAILED(map(spare, UNIT + STACK))) return;
    *(volatile char *)first_byte(*spare) = 0;
    *((volatile char *)*spare - 4096) = 0;
}

static long take(struct beginning **made, struct beginning **spare, uint32_t room) {
    if (!*spare || (*spare)->room < room) return map(made, ((room + UNIT - 1) & ~(uint32_t)(UNIT - 1)) + STACK);
    *made = *spare;
    *spare = 0;
    return 0;
}

long begin_job(struct beginning **made, struct beginning **spare, job_player *play, int socket, uint32_t how,
               int *pidfd) {
    bool shares = !(how & JOB_COPIES);
    long r = take(made, spare, (how >> JOB_KIB) << 10);
    if (FAILED(r)) return r;
    struct beginning *b = *made;
    b->socket = socket;
    b->play = play;
    b->is_inside = shares;
    long flags = (shares ? CLONE_VM | CLONE_CHILD_CLEARTID : 0) | CLONE_PIDFD | SIGCHLD;
    r = sys_clone(flags, (long *)((uintptr_t)b & ~(uintptr_t)15), pidfd, (int *)&b->is_inside, run, b);
    if (FAILED(r)) b->is_inside = 0;
    return r;
}

/* Clears the pages that were written to: to write to others would only make them. */
static bool wipe(char *from, uint32_t size) {
    unsigned char pages[2 * UNIT / 4096];
    uint32_t count = 0, page = 4096;
    for (size_t i = 0; i < sizeof pages; i++) pages[i] = 2;
    if (size > 2 * UNIT || FAILED(sys(__NR_mincore, from, size, pages))) return false;
    while (count < sizeof pages && pages[count] < 2) count++;
    while (page * count < size && page < size) page *= 2; /* as large as the kernel says by how many there are */
    for (uint32_t i = 0; i < count; i++)
        for (volatile long *at = (long *)(from + i * page); pages[i] & 1 && (char *)at < from + (i + 1) * page; at++)
            *at = 0;
    return true;
}

void end_beginning(struct beginning *b, struct beginning **spare) {
    const struct beginning kept = *b;
    char *from = first_byte(b);
    if (!*spare && wipe(from, b->size)) {
        *b = kept;
        *spare = b;
    } else
        sys(__NR_munmap, from, kept.size);
}
