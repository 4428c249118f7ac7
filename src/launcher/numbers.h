/* Numbers of the kernel's that its own headers leave to those of a C library, or have only in a header that cannot
 * stand beside the C library's, as <linux/signal.h>. */
#ifndef NS_NUMBERS_H
#define NS_NUMBERS_H

/* umount2(2) */
#define MNT_DETACH 2

/* socket(2), recv(2), send(2) */
#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define AF_NETLINK 16
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_RAW 3
#define SOCK_SEQPACKET 5
#define SOL_SOCKET 1
#define SO_REUSEADDR 2
#define SO_TYPE 3
#define SO_ERROR 4
#define SO_LINGER 13
#define SO_PEERCRED 17
#define SO_DOMAIN 39
#define IPPROTO_TCP 6
#define TCP_NODELAY 1
#define IPPROTO_IPV6 41
#define IPV6_V6ONLY 26
#define SHUT_WR 1
#define SCM_RIGHTS 1
#define MSG_PEEK 0x2
#define MSG_CTRUNC 0x8
#define MSG_DONTWAIT 0x40
#define MSG_NOSIGNAL 0x4000
#define MSG_CMSG_CLOEXEC 0x40000000

#define IFF_UP 0x1

/* kill(2), sigprocmask(2) */
#define SIGKILL 9
#define SIGCHLD 17
#define SIGCONT 18
#define SIGRTMIN 32
#define SI_USER 0
#define SIG_SETMASK 2

/* landlock_add_rule(2) */
#define LANDLOCK_RULE_PATH_BENEATH 1
#define LANDLOCK_RULE_NET_PORT 2

/* access(2) */
#define X_OK 1

#endif
