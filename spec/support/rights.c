/* Tells of the rights of this process what its files in /proc do not. */
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    int signal = 0;
    prctl(PR_GET_PDEATHSIG, &signal);
    printf("securebits %d, dumpable %d, signal at the parent's end %d\n", prctl(PR_GET_SECUREBITS), prctl(PR_GET_DUMPABLE),
           signal);
    printf("keyring %ld\n", syscall(SYS_keyctl, 0 /* KEYCTL_GET_KEYRING_ID */, -3 /* of the session */, 0));
    return 0;
}
