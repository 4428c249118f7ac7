/* The numbers of the system calls of 32-bit programs on x86-64. A file of its own: the headers of
 * two machines do not go together. */
#include <stddef.h>

#if defined(__x86_64__) && !defined(__ILP32__) && __has_include(<asm/unistd_32.h>)
#define X86_SYSCALL_NUMBERS
#include <asm/unistd_32.h>
#endif

#include "syscalls.h"

const struct syscall *ns_syscalls_x86(void) {
#ifdef X86_SYSCALL_NUMBERS
    static const struct syscall calls[] = {SYSCALLS(SYSCALL), {NULL, NULL}};
    return calls;
#else
    return NULL;
#endif
}
