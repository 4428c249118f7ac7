/* Takes all processor time from process 1, as whose user it runs, and from whoever else would have it on the first processor.
 * usage: starve NUMBER OF PROCESSES */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct sched_param none = {0};
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    signal(SIGTERM, SIG_IGN);
    if (sched_setaffinity(1, sizeof first, &first) < 0 || setpriority(PRIO_PROCESS, 1, 19) < 0 ||
        sched_setscheduler(1, SCHED_IDLE, &none) < 0)
        return perror("starve"), 1;
    for (int left = argc > 1 ? atoi(argv[1]) : 0; left > 0; left--)
        if (fork() == 0) {
            sched_setaffinity(0, sizeof first, &first);
            for (;;) continue;
        }
    puts("alone");
    fflush(stdout);
    for (;;) pause();
}
