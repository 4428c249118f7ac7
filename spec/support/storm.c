/* Preloaded into a host: a signal with a handler each millisecond, so that every waiting system call is interrupted. Says
 * at the end in which processes the handler ran: in the host's alone. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

static volatile pid_t host;
static volatile long here, elsewhere;

static void handler(int signal) {
    (void)signal;
    if (getpid() == host)
        here++;
    else
        elsewhere++;
}

__attribute__((constructor)) static void begin(void) {
    struct sigaction action = {.sa_handler = handler};
    struct itimerval timer = {{0, 1000}, {0, 1000}};
    host = getpid();
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
    unsetenv("LD_PRELOAD");
}

__attribute__((destructor)) static void end(void) {
    if (getpid() == host) fprintf(stderr, "storm: %s, %ld elsewhere\n", here > 10 ? "many" : "few", elsewhere);
}
