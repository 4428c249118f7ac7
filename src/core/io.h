/* What the host's side needs of the C library, and knows no Lua. */
#ifndef NS_IO_H
#define NS_IO_H

#include <stdbool.h>
#include <sys/types.h>

/* Moves a descriptor out of the way of 0, 1 and 2, where a host that has closed them gets its new ones. */
int ns_above_stdio(int fd);

/* A file in memory, which can be sealed and not executed. */
int ns_new_memory(void);

/* The same of a size that it keeps: what is mapped of it is there, whoever else has a descriptor. -errno if there is
 * none. */
int ns_new_room(size_t size);

/* read(2), where a terminal whose program has closed it is at its end, too. */
ssize_t ns_read(int fd, char *bytes, size_t size);

/* The same without waiting, where a socket has nothing to read: who has a copy of it can make it block. */
ssize_t ns_read_now(int fd, char *bytes, size_t size);

/* The descriptors that have come with a message: how many there are in `fds`. Those that have no room there are closed,
 * and all if `most` is 0. */
struct msghdr;
int ns_take_descriptors(struct msghdr *message, int *fds, int most);

/* write(2) that does not kill the host: SIGPIPE and SIGXFSZ, which it may send, are taken away, and only the errno is
 * left. */
ssize_t ns_write_nosignal(int fd, const char *bytes, size_t size);

/* The same without waiting, where a socket has no room. */
ssize_t ns_write_now(int fd, const char *bytes, size_t size);

/* Seconds that only grow. */
double ns_clock(void);

/* A wait in seconds; NULL, which waits for ever, where they are negative. */
struct timespec;
struct timespec *ns_timeout(double seconds, struct timespec *);

/* Is it of no length? Whoever is heard without an end does not keep us longer than that. */
bool ns_is_over(const struct timespec *);

#endif
