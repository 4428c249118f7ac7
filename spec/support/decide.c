/* Asks the kernel what a filter says of calls, and makes none of them: the filter has errno 4000 in the place of "allow".
 *
 * usage: decide FILTER <QUESTIONS      a question is a line "machine number argument0 argument1 argument2", where the machine
 * is 0 for a call of our own, 1 for one of a 32-bit program; the answer is its errno, on a line of its own. "-": the call
 * cannot be made so. The filter has to let exit_group pass. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 40000 };

struct question {
    int machine, answer;
    long number;
    unsigned long args[3];
};

static long ask(const struct question *q) {
#ifdef __x86_64__
    if (q->machine == 1) {
        int r;
        __asm__ volatile("int $0x80"
                         : "=a"(r)
                         : "a"(q->number), "b"(q->args[0]), "c"(q->args[1]), "d"(q->args[2])
                         : "r8", "r9", "r10", "r11", "memory");
        return r;
    }
    long r;
    __asm__ volatile("syscall"
                     : "=a"(r)
                     : "a"(q->number), "D"(q->args[0]), "S"(q->args[1]), "d"(q->args[2])
                     : "rcx", "r11", "memory");
    return r;
#else
    return syscall(q->number, q->args[0], q->args[1], q->args[2]) < 0 ? -errno : 0;
#endif
}

int main(int argc, char **argv) {
    static struct sock_filter code[4096];
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!file) return 2;
    struct sock_fprog program = {(unsigned short)fread(code, sizeof code[0], 4096, file), code};
    struct question *q = mmap(NULL, MOST * sizeof *q, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int count = 0;
    while (count < MOST && scanf("%d %ld %lu %lu %lu", &q[count].machine, &q[count].number, &q[count].args[0],
                                 &q[count].args[1], &q[count].args[2]) == 5)
        q[count++].answer = -1;
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)) return 3;
        for (int i = 0; i < count; i++) q[i].answer = (int)-ask(&q[i]);
        syscall(SYS_exit_group, 0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    for (int i = 0; i < count; i++) q[i].answer < 0 ? puts("-") : printf("%d\n", q[i].answer);
    return status;
}
