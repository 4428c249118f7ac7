#ifndef NS_FDS_H
#define NS_FDS_H

/* Closes all from the first to the last; 0 or -errno. */
long close_fds(unsigned first, unsigned last);

/* Closes all but these two. */
void close_all_but(int a, int b);

#endif
