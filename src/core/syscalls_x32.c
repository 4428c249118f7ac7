/* The numbers of the system calls of programs with short pointers (x32) on x86-64. A file of its own: the headers of
 * two machines do not go together. */
#include <stddef.h>

#if defined(__x86_64__) && !defined(__ILP32__) && __has_include(<asm/unistd_x32.h>)
#define X32_SYSCALL_NUMBERS
#define __X32_SYSCALL_BIT 0x40000000
#include <asm/unistd_x32.h>
#endif

#include "syscalls.h"

const struct syscall *ns_syscalls_x32(void) {
#ifdef X32_SYSCALL_NUMBERS
    static const struct syscall calls[] = {SYSCALLS(SYSCALL), {NULL, NULL}};
    return calls;
#else
    return NULL;
#endif
}
