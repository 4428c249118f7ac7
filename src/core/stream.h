#ifndef NS_STREAM_H
#define NS_STREAM_H

#include "compat.h"

/* Pushes a Lua file for the descriptor, which is the file's from now on, and keeps alive what is at index `companion`
 * as long as itself. mode: "r", "w", or "t" to read from a terminal. false and errno: it does not, and nothing is
 * pushed */
bool nsL_pushfile(lua_State *L, int fd, const char *mode, int companion);

#endif
