#ifndef NS_RESULT_H
#define NS_RESULT_H

#include "compat.h"

/* nil, what was refused, errno */
int nsL_refused(lua_State *L, const char *step, int error);

/* nil, message, errno */
int nsL_failed(lua_State *L, int error);

/* the number; if it is negative, the failure that errno tells */
int nsL_number(lua_State *L, int value);

/* true, or the failure that a raw system call has returned */
int nsL_done(lua_State *L, long result);

#endif
