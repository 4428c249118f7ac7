#ifndef NS_LAUNCHER_H
#define NS_LAUNCHER_H

/* The whole life of the new process: reads the plan from the socket and plays it; ends in exec or exit. Returns only in
 * a copy of the host, after a plan that ends with the op `call`. */
void ns_launcher(int socket);

#endif
