#ifndef NS_ENCODE_H
#define NS_ENCODE_H

#include "../plan.h"
#include "compat.h"

/* The plan that is an argument. */
struct plan *nsL_checkplan(lua_State *L, int arg);

#endif
