/* A neighbour who has the root directory of a program, too: exchanges two names in it, again and again, until its stdin
 * ends. usage: exchange A B [A B ...] */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>

int main(int argc, char **argv) {
    struct pollfd end = {0, POLLIN, 0};
    long count = 0;
    if (argc < 3) return 2;
    do
        for (int i = 1; i + 1 < argc; i += 2)
            if (renameat2(AT_FDCWD, argv[i], AT_FDCWD, argv[i + 1], RENAME_EXCHANGE) == 0) count++;
    while (count % 64 || poll(&end, 1, 0) == 0);
    printf("%ld\n", count);
    return 0;
}
