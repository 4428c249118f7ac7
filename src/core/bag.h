#ifndef NS_BAG_H
#define NS_BAG_H

#include "compat.h"

/* Puts a descriptor into the bag at the index: the number | nil, message, errno. A negative one is an errno. */
int nsL_put(lua_State *L, int arg, long fd);

#endif
