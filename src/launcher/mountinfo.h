/* Reading mountinfo, and other texts of /proc. */
#ifndef NS_MOUNTINFO_H
#define NS_MOUNTINFO_H

#include <stddef.h>
#include <stdint.h>

enum { TEXT_MAX = 4 << 20 };

/* The whole of a file, with a zero at its end: 0, or -errno. -E2BIG: there is no room for it */
long read_text(const char *path, char *to, size_t room);
const char *next_line(const char *line);
/* The n-th field of a line, from 1 */
const char *field(const char *line, int n);
long number_at(const char *s);
int starts_with(const char *s, const char *with);

/* Both add to what has *n bytes: a text; a path as mountinfo writes it, where "\\040" is a blank. 0, or -E2BIG */
long add_text(char *to, size_t room, size_t *n, const char *text);
long unescape(char *to, size_t room, size_t *n, const char *path);

/* Is there a mount below this directory? 1, 0, or -errno */
long mount_below(long fd);

#endif
