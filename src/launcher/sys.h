/* Raw system calls, one place. They return -errno and touch no memory of a C library, so that the same code runs in the
 * launcher, which has none, and in a child that shares or copies the memory of the host. */
#ifndef NS_SYS_H
#define NS_SYS_H

#include <asm/unistd.h>

/* Inline whatever the compiler is told: the child of a clone3(2) on our stack goes on where it was made. */
static inline __attribute__((always_inline)) long sys6(long n, long a, long b, long c, long d, long e, long f);

#if defined(__x86_64__)
static inline long sys6(long n, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall" : "+a"(n) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
    return n;
}
static inline long clone6(long flags, long *stack, int *pidfd, int *number, void (*begin)(void *), void *argument) {
    long n = __NR_clone;
    register int *r10 __asm__("r10") = number;
    register long r8 __asm__("r8") = 0;
    register void (*r12)(void *) __asm__("r12") = begin;
    register void *r13 __asm__("r13") = argument;
    __asm__ volatile("syscall\n\ttest %%rax, %%rax\n\tjnz 1f\n\txor %%ebp, %%ebp\n\tmov %%r13, %%rdi\n\t"
                     "call *%%r12\n1:"
                     : "+a"(n)
                     : "D"(flags), "S"(stack), "d"(pidfd), "r"(r10), "r"(r8), "r"(r12), "r"(r13)
                     : "rcx", "r11", "memory");
    return n;
}
#elif defined(__aarch64__)
static inline long sys6(long n, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = n;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}
static inline long clone6(long flags, long *stack, int *pidfd, int *number, void (*begin)(void *), void *argument) {
    register long x8 __asm__("x8") = __NR_clone;
    register long x0 __asm__("x0") = flags;
    register long *x1 __asm__("x1") = stack;
    register int *x2 __asm__("x2") = pidfd;
    register long x3 __asm__("x3") = 0;
    register int *x4 __asm__("x4") = number;
    register void (*x19)(void *) __asm__("x19") = begin;
    register void *x20 __asm__("x20") = argument;
    __asm__ volatile("svc 0\n\tcbnz x0, 1f\n\tmov x29, #0\n\tmov x0, x20\n\tblr x19\n1:"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x19), "r"(x20)
                     : "memory");
    return x0;
}
#elif defined(__riscv) && __riscv_xlen == 64
static inline long sys6(long n, long a, long b, long c, long d, long e, long f) {
    register long a7 __asm__("a7") = n;
    register long a0 __asm__("a0") = a;
    register long a1 __asm__("a1") = b;
    register long a2 __asm__("a2") = c;
    register long a3 __asm__("a3") = d;
    register long a4 __asm__("a4") = e;
    register long a5 __asm__("a5") = f;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5) : "memory");
    return a0;
}
static inline long clone6(long flags, long *stack, int *pidfd, int *number, void (*begin)(void *), void *argument) {
    register long a7 __asm__("a7") = __NR_clone;
    register long a0 __asm__("a0") = flags;
    register long *a1 __asm__("a1") = stack;
    register int *a2 __asm__("a2") = pidfd;
    register long a3 __asm__("a3") = 0;
    register int *a4 __asm__("a4") = number;
    register void (*s2)(void *) __asm__("s2") = begin;
    register void *s3 __asm__("s3") = argument;
    __asm__ volatile("ecall\n\tbnez a0, 1f\n\tmv a0, s3\n\tjalr s2\n1:"
                     : "+r"(a0)
                     : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(s2), "r"(s3)
                     : "memory");
    return a0;
}
#elif defined(__arm__)
static inline long sys6(long n, long a, long b, long c, long d, long e, long f) {
    register long r0 __asm__("r0") = a;
    register long r1 __asm__("r1") = b;
    register long r2 __asm__("r2") = c;
    register long r3 __asm__("r3") = d;
    register long r4 __asm__("r4") = e;
    register long r5 __asm__("r5") = f;
    /* r7 may be the frame pointer in Thumb code: it is saved by hand */
    __asm__ volatile("push {r7}\n\tmov r7, %1\n\tsvc 0\n\tpop {r7}"
                     : "+r"(r0)
                     : "r"(n), "r"(r1), "r"(r2), "r"(r3), "r"(r4), "r"(r5)
                     : "memory");
    return r0;
}
static inline long clone6(long flags, long *stack, int *pidfd, int *number, void (*begin)(void *), void *argument) {
    register long r0 __asm__("r0") = flags;
    register long *r1 __asm__("r1") = stack;
    register int *r2 __asm__("r2") = pidfd;
    register long r3 __asm__("r3") = 0;
    register int *r4 __asm__("r4") = number;
    register void (*r5)(void *) __asm__("r5") = begin;
    register void *r6 __asm__("r6") = argument;
    __asm__ volatile("push {r7}\n\tmov r7, %1\n\tsvc 0\n\tcmp r0, #0\n\tbne 1f\n\tmov r0, r6\n\tblx r5\n1:\tpop {r7}"
                     : "+r"(r0)
                     : "r"((long)__NR_clone), "r"(r1), "r"(r2), "r"(r3), "r"(r4), "r"(r5), "r"(r6)
                     : "cc", "memory");
    return r0;
}
#elif defined(__i386__)
static inline long sys6(long n, long a, long b, long c, long d, long e, long f) {
    long list[] = {f, a, b}, *at = list; /* ebp and ebx cannot be named as operands: they are loaded from here */
    __asm__ volatile("push %%ebp\n\tpush %%ebx\n\tmov 4(%%ecx), %%ebx\n\tmov (%%ecx), %%ebp\n\t"
                     "mov 8(%%ecx), %%ecx\n\tint $0x80\n\tpop %%ebx\n\tpop %%ebp"
                     : "+a"(n), "+c"(at)
                     : "d"(c), "S"(d), "D"(e)
                     : "memory");
    return n;
}
static inline long clone6(long flags, long *stack, int *pidfd, int *number, void (*begin)(void *), void *argument) {
    long n = __NR_clone, *top = stack - 4; /* the child takes `begin` from there, and finds its argument then */
    top[0] = (long)argument, *--top = (long)begin;
    __asm__ volatile("push %%ebx\n\tmov %%esi, %%ebx\n\tint $0x80\n\ttest %%eax, %%eax\n\tjnz 1f\n\tpop %%eax\n\t"
                     "call *%%eax\n1:\tpop %%ebx"
                     : "+a"(n)
                     : "S"(flags), "c"(top), "d"(pidfd), "D"(number)
                     : "memory");
    return n;
}
#else
#error "no system call for this machine yet: add sys6 here and _start in start.c"
#endif

/* a test build may put a call of its own between */
#ifndef SYS_CALL
#define SYS_CALL sys6
#endif
#ifndef SYS_CLONE
#define SYS_CLONE clone6
#endif
#ifndef SYS_CLONE3
#define SYS_CLONE3(arguments, size) sys6(__NR_clone3, (long)(arguments), (size), 0, 0, 0, 0)
#endif

/* sys(number, up to six arguments of any scalar type) */
#define SYS_PAD(n, a, b, c, d, e, f, ...) \
    SYS_CALL((n), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define sys(...) SYS_PAD(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

/* 32-bit machines: the calls with 32-bit ids, and a file offset in pages */
#ifdef __NR_setresuid32
#define SYS_setresuid __NR_setresuid32
#define SYS_setresgid __NR_setresgid32
#define SYS_setgroups __NR_setgroups32
#define SYS_fchown __NR_fchown32
#else
#define SYS_setresuid __NR_setresuid
#define SYS_setresgid __NR_setresgid
#define SYS_setgroups __NR_setgroups
#define SYS_fchown __NR_fchown
#endif
#ifdef __NR_mmap2
#define SYS_mmap __NR_mmap2
#else
#define SYS_mmap __NR_mmap
#endif

/* newer than some headers */
#ifndef __NR_close_range
#define __NR_close_range 436
#endif
#ifndef __NR_landlock_create_ruleset
#define __NR_landlock_create_ruleset 444
#define __NR_landlock_add_rule 445
#define __NR_landlock_restrict_self 446
#endif

/* clone(2) for a child that calls begin(argument), on the stack that ends at `stack`, a multiple of 16, and must not
 * come back. CLONE_CHILD_CLEARTID: the kernel makes *number 0 when the child has left our memory. */
#define sys_clone(...) SYS_CLONE(__VA_ARGS__)

#define FAILED(r) ((unsigned long)(r) > -4096ul)

#endif
