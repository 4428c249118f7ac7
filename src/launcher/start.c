/* The launcher's entry. The kernel hands over a stack; its second argument is the number of the socket, in digits.
 * Where more follow, it is the init of a copy of the host (init.h). */
#include <stddef.h>

#include "init.h"
#include "launcher.h"
#include "sys.h"

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall start\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n\tmov x29, #0\n\tmov x0, sp\n\tb start\n");
#elif defined(__riscv)
/* gp: the linker addresses data by it */
__asm__(".globl _start\n_start:\n\t.option push\n\t.option norelax\n\tla gp, __global_pointer$\n\t.option pop\n\tmv "
        "a0, sp\n\tandi sp, sp, -16\n\tcall start\n");
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
    int numbers[INIT_NUMBERS] = {0};
    long count = stack[0] - 1; /* stack[0] is argc, stack[1] the name */
    for (long i = 0; i < count && i < INIT_NUMBERS; i++)
        for (char *digit = (char *)stack[i + 2]; *digit; digit++) {
            numbers[i] = numbers[i] * 10 + (*digit - '0');
            *digit = 0; /* /proc/PID/cmdline tells nothing of the host */
        }
    if (count == INIT_NUMBERS) ns_init(numbers);
    ns_launcher(numbers[0]);
    for (;;) sys(__NR_exit_group, 127);
}
