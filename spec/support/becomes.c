/* A set-user-ID program, or one of root, that is nobody else's any more: all its ids are those of the file's owner. */
#include <stdio.h>
#include <unistd.h>

int main(void) {
    if (setresuid(geteuid(), geteuid(), geteuid()) != 0) return 1;
    puts("changed");
    fflush(stdout);
    return sleep(30) != 0;
}
