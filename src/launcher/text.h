#ifndef NS_TEXT_H
#define NS_TEXT_H

#include <stddef.h>

int starts_with(const char *s, const char *with);

/* Adds a text to what has *n bytes: 0, or -E2BIG. */
long add_text(char *to, size_t room, size_t *n, const char *text);

/* The number at the beginning, behind blanks. */
long number_at(const char *s);

/* The whole of a file, with a zero at its end: 0, or -errno. -E2BIG: there is no room for it */
long read_text(const char *path, char *to, size_t room);

/* "/proc/self/fd/N", for which 32 bytes are enough. */
const char *path_of(long fd, char *to);

#endif
