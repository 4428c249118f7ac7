#ifndef NS_NUMBERS_H
#define NS_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/types.h>

/* What newer kernels say of a pidfd without /proc. */
struct pidfd_info {
    uint64_t mask, cgroupid;
    uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_code;
};
#define PIDFD_INFO_EXIT 8
#define PIDFD_GET_INFO _IOWR(0xFF, 11, struct pidfd_info)

/* What /proc says of a process: its number there, 0 if it has none, -1 if it is gone; and how many it has, from that
 * namespace on inwards. A kernel without pid namespaces says nothing of the latter. error: why nothing is known */
struct numbers {
    int pid, count, error;
};

/* Of an open file with such lines: of /proc/PID/status, or of what it says of a pidfd. */
struct numbers ns_read_numbers(FILE *f);

/* Of the process of a pidfd. */
struct numbers ns_numbers_of(int pidfd);

/* The number that a process has in /proc; 0, or below, if it has none there. */
pid_t ns_proc_pid(int pidfd);

/* Can what was sent as the pidfd of a process in a box be that? Whoever has the init's socket sends what he likes: the
 * kernel gives him a pidfd of who is at the other end of a socket, which is the host. So it has to be in a pid
 * namespace below ours, as all of a living box are. Where there is no /proc, it is only known what it is not: a process
 * of ours. */
bool ns_may_be_inside(int pidfd);

/* Is it a pidfd of this very process? */
bool ns_is_ourself(int pidfd);

#endif
