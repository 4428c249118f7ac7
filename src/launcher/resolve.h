/* A path is looked up by the rules of openat2(2), which keep it beneath a directory or off all symbolic links. */
#ifndef NS_RESOLVE_H
#define NS_RESOLVE_H

#include <stdint.h>

struct statx;

enum { LINKS_MAX = 40 }; /* as path_resolution(7) has it */

/* flags: O_DIRECTORY, O_NOFOLLOW. scope: RESOLVE_*, and no magic link in any case; NO_XDEV only with NO_SYMLINKS. A
 * descriptor that is good for a place (O_PATH), or -errno */
long resolve(long base, const char *path, uint64_t flags, uint64_t scope);

/* Opens path (O_PATH). source: NULL, or the directory that path begins with; no link is followed beyond that. */
long look_up(const char *path, const char *source);

/* Of what a descriptor is. */
long look(long fd, struct statx *);
int is_directory(const struct statx *);

#endif
