/* The launcher's entry. The kernel hands over a stack; its second argument is the number of the socket, in digits. */
#include <stddef.h>

#include "launcher.h"

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall start\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n\tmov x29, #0\n\tmov x0, sp\n\tb start\n");
#elif defined(__riscv)
__asm__(".globl _start\n_start:\n\tmv a0, sp\n\tandi sp, sp, -16\n\tcall start\n");
#elif defined(__arm__)
__asm__(".globl _start\n_start:\n\tmov r0, sp\n\tbic sp, sp, #7\n\tbl start\n");
#elif defined(__i386__)
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %esp, %eax\n\tand $-16, %esp\n\tsub $12, %esp\n\tpush "
        "%eax\n\tcall start\n");
#endif

/* The compiler may call these for copies and clears of its own. */
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
_Noreturn void start(long *stack);

void *memcpy(void *to, const void *from, size_t n) {
    char *t = to;
    for (const char *f = from; n > 0; n--) *t++ = *f++;
    return to;
}

void *memset(void *to, int byte, size_t n) {
    for (char *t = to; n > 0; n--) *t++ = (char)byte;
    return to;
}

__attribute__((used)) void start(long *stack) {
    char *digits = (char *)stack[2]; /* stack[0] is argc, stack[1] the name */
    int socket = 0;
    for (; *digits; digits++) {
        socket = socket * 10 + (*digits - '0');
        *digits = 0; /* /proc/PID/cmdline tells nothing of the host */
    }
    ns_launcher(socket);
}
