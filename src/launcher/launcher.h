#ifndef NS_LAUNCHER_H
#define NS_LAUNCHER_H

/* The whole life of the new process: reads the plan from the socket and plays it; ends in exec or exit. */
_Noreturn void ns_launcher(int socket);

/* The same for a job of a living box, in a child of its init: signals are as they are to be. First its descriptors come. */
_Noreturn void ns_job_launcher(int socket);

#endif
