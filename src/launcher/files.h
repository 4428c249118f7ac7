#ifndef NS_FILES_H
#define NS_FILES_H

#include "player.h"

/* Puts a file with the data of a step over the one at path. */
long cover_file(struct player *, const char *path, const struct step *, long mode);

#endif
