/* Extended attributes of a file, their values in hexadecimal digits.
 *
 * usage: xattr FILE                  all of them, one a line: NAME DIGITS
 *        xattr FILE NAME DIGITS      sets one */
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

static int show(const char *file) {
    static char names[65536], value[65536];
    ssize_t size = listxattr(file, names, sizeof names);
    for (char *name = names; name < names + size; name += strlen(name) + 1) {
        ssize_t n = getxattr(file, name, value, sizeof value);
        printf("%s ", name);
        for (ssize_t i = 0; i < n; i++) printf("%02x", (unsigned char)value[i]);
        printf("\n");
    }
    return size < 0;
}

static int set(const char *file, const char *name, const char *digits) {
    unsigned char value[4096];
    size_t n = 0;
    for (unsigned byte; n < sizeof value && sscanf(digits + 2 * n, "%2x", &byte) == 1; n++)
        value[n] = (unsigned char)byte;
    if (setxattr(file, name, value, n, 0) == 0) return 0;
    perror(name);
    return 1;
}

int main(int argc, char **argv) {
    if (argc == 2) return show(argv[1]);
    return argc == 4 ? set(argv[1], argv[2], argv[3]) : 2;
}
