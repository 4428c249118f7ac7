#ifndef NS_ATTRIBUTES_H
#define NS_ATTRIBUTES_H

/* Gives what one directory says of itself to another, which is open for more than its path. nested: there are ids that
 * are nobody's. 1: the owner or the group is such a one, which cannot be given */
long copy_attributes(long from, long to, int nested);

#endif
