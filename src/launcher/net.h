/* Sockets of the namespace that we are in, for the host. */
#ifndef NS_NET_H
#define NS_NET_H

#include <stdint.h>

/* Answers REQUEST_SOCKET, over the socket `to`. */
void give_socket(uint32_t what, int to);

#endif
