#ifndef NS_CHILDREN_H
#define NS_CHILDREN_H

#include <stdint.h>

/* Kills all children, and those that become ours by that, and waits for their end: 0; or, when only such are left, the
 * pid of one that we may not kill. */
uint32_t end_children(int signals);

#endif
