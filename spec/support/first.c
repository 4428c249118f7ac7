/* Tries, as the first thing it does, for the memory of process 1: before that one has had the time to close it. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(void) {
    for (int i = 0; i < 200; i++) {
        int fd = open("/proc/1/mem", O_RDWR);
        if (fd >= 0) return puts("REACHED"), 0;
    }
    return 0;
}
