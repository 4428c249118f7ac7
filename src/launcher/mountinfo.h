/* What mountinfo tells, line by line: proc_pid_mountinfo(5). */
#ifndef NS_MOUNTINFO_H
#define NS_MOUNTINFO_H

#include <stddef.h>

enum { TEXT_MAX = 4 << 20 };

const char *next_line(const char *line);

/* The n-th field of a line, from 1. */
const char *field(const char *line, int n);

/* Adds a path, as mountinfo writes it, to what has *n bytes: "\\040" is a blank. 0, or -E2BIG */
long unescape(char *to, size_t room, size_t *n, const char *path);

/* What the kernel calls the mount behind a descriptor, or -errno. */
long mount_id(long fd);

/* Is there a mount below this directory? 1, 0, or -errno */
long mount_below(long fd);

#endif
