/* Bytes with descriptors, over a socket. */
#ifndef NS_MESSAGE_H
#define NS_MESSAGE_H

#include <stddef.h>

/* Sends the bytes, and with them the descriptors (DESCRIPTORS_MAX at the most): the number of bytes, or -errno. */
long send_message(int socket, const void *bytes, size_t size, const int *fds, int count);

/* Receives bytes, and up to `most` (of DESCRIPTORS_MAX) descriptors, with these flags of recvmsg(2). The number
 * of bytes, 0 at end-of-file, or -errno: EMFILE if there were more descriptors than there is room for, and then all of
 * them are closed. */
long receive_message(int socket, void *bytes, size_t size, int *fds, int most, int *count, int flags);

#endif
