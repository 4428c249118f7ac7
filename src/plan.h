/* The waist between the two processes. The host lays a plan out as one block of bytes; the launcher plays it and
 * answers with records. Offsets and numbers: no pointer, no Lua type, no function that acts. */
#ifndef NS_PLAN_H
#define NS_PLAN_H

#include <stdint.h>

#define PLAN_MAGIC 0x6e73706cu /* "nspl" */

/* Where the launcher asks for the plan's memory: a host that gave up waiting reads there which step hung. Near the
 * launcher itself, so that both share their page tables. */
#define PLAN_ADDRESS 0x500000ul

/* A living box has so many places where the plan of a job may lie, so far apart, from PLAN_ADDRESS on. */
#define PLAN_SPACING 0x100000ul
#define PLAN_PLACES 32

struct plan {
    uint32_t magic;
    uint32_t size;    /* of the whole block, in bytes; the last one is 0 */
    uint32_t steps;   /* offset of the first struct step */
    uint32_t count;   /* number of steps */
    uint32_t current; /* the step being played, from 1: written by the launcher, read by a host that timed out */
};

/* One flat shape for every op. A field's name is its key in Lua, and means the same for every op that uses it; each
 * op's comment lists the fields that it uses. Strings and lists are offsets into the plan, 0 when absent; a list is an
 * array of uintptr_t offsets that ends in 0. Each step's strings and lists follow those of earlier steps. */
struct step {
    uint32_t op;                       /* index into ns_ops[] */
    uint32_t ignore;                   /* an errno that counts as success */
    uint32_t path, source, type, data; /* strings */
    uint32_t size;                     /* bytes in data */
    uint32_t paths, argv, env;         /* lists */
    uint32_t options;                  /* list: of a file system */
    int32_t fd, to; /* a descriptor; and the number that it gets, or the last one of a range that begins with fd */
    uint32_t mode;  /* the permissions of a new file or directory */
    int32_t which;  /* the number of a resource, a policy, a prctl(2) */
    uint32_t how;   /* STEP_* */
    uint64_t flags, clear; /* bits of the kernel's: those to set, and those to take away */
    int64_t value, limit;  /* the number to set; and the second one, for an op that sets two */
};

/* The bits of `how`: each belongs to the ops that it is listed with, and no two share one. */
enum {
    /* remount, propagation */
    STEP_RECURSIVE = 1 << 0, /* the mount on path, and all mounts below it */

    /* fs */
    STEP_OURS = 1 << 1, /* later steps may make directories and files in it, for their mounts to lie on */

    /* tree */
    STEP_BENEATH_ROOT = 1 << 2, /* source is a place in the new root, not one of the host */
    STEP_NO_LINK = 1 << 3,      /* there is no symbolic link in source */
    STEP_LOOKED_UP = 1 << 4,    /* fd is what `lookup` has found: it stands for source */
    STEP_SAME_FILE = 1 << 5,    /* source must still be the file that fd is */
    STEP_ROOT_PART = 1 << 6,    /* source is an entry of the directory that becomes the root: a file, or a directory */

    /* lookup */
    STEP_ONE_MOUNT = 1 << 7, /* EINVAL if a mount lies below it */

    /* overlay */
    STEP_THROW_AWAY = 1 << 8,  /* its upper directory is a tmpfs, and places may be made in it */
    STEP_USERXATTR = 1 << 9,   /* it marks its files by user.*, as in a user namespace */
    STEP_ROOT_LAYER = 1 << 19, /* it becomes the root (tree, too); its lowest lower is what newroot has made */
    STEP_PART_LAYER = 1 << 20, /* it is a part of that root: its upper and work are directories in those of the root */

    /* what takes a place */
    STEP_MKDIR = 1 << 21,    /* a place that is missing is made in an overlay that is kept, too */
    STEP_ANYWHERE = 1 << 23, /* and in a tree of the host's, where the program's user may */

    /* caps */
    STEP_CAPS_ONLY = 1 << 10, /* nothing else is permitted or effective any more */
    STEP_CAPS_ALL = 1 << 11,  /* those of flags are all that are permitted now */

    /* write, sysctl, setns */
    STEP_HOSTS_PROC = 1 << 18, /* fd is the host's /proc: path is looked up there, and not in what lies on /proc now */

    /* umask */
    STEP_HOSTS = 1 << 12, /* the mask of the host, in place of value */

    /* init, relay */
    STEP_OUTLIVES = 1 << 13,    /* it outlives the host */
    STEP_TELLS_STOPS = 1 << 14, /* the init sends a record when the program is stopped */
    STEP_ENDS_ALL = 1 << 15,    /* there is no pid namespace: the init itself ends what the program has started */
    STEP_ANEW = 1 << 17, /* this process is a copy of the host: it executes the launcher, at fd, and is the init then */

    /* route */
    STEP_INSIDE = 1 << 22, /* a connection goes on in the network of the init */

    /* exec, call */
    STEP_TRIAL = 1 << 16, /* only try whether it would work (ns.check) */
};

/* What comes back over the socket. {step, 0} says "this step is about to leave the launcher for good" (exec, call);
 * {step, error} that it failed. After the first, end-of-file means that the program runs. */
struct record {
    uint32_t step;
    int32_t error;
};

/* The step of a record in which an init tells how the program has ended; error is the status of wait4(2). */
#define INIT_STATUS 0xffffffffu

/* The same for a program that was stopped, from an init that was told to (STEP_TELLS_STOPS, JOB_TELLS_STOPS). */
#define INIT_STOPPED 0xfffffffeu
/* The init's next record: error is the most memory that the program had, in KiB. */
#define INIT_MAXRSS 0xfffffffdu
/* error is the pid of a process that the program has left behind, and that the init may not kill. */
#define INIT_LEFT 0xfffffffcu

/* What the host asks of an init, as a record.
 *
 * REQUEST_SIGNAL: error is the number of a signal, for the program, or in a living box for all that is inside.
 *
 * REQUEST_JOB, for the init of a living box: to start a new job. error is a sum of JOB_*, and two sockets come with it.
 * The first is for the job's launcher: the job's descriptors come through it, with one byte, then its plan, and the
 * launcher answers with records. Through the second the init tells of the job (INIT_JOB, INIT_STATUS ...).
 *
 * REQUEST_SOCKET, for any init: to make a socket in its net namespace. error is its family, its type << 8 and its
 * protocol << 16. The answer, INIT_MADE, goes over the socket that comes with it: with the one made, or error says why
 * there is none.
 *
 * An init that has a listener (BOX_LISTENER) is asked over that, too. Whoever connects must show that he may read the
 * directory that the socket lies in: a path is enough to connect, for who is confined by Landlock, too. With his
 * REQUEST_BOX come the protocol that he speaks and a descriptor of that directory; INIT_BOX is the answer, and then he
 * may ask all this, and REQUEST_END: the end of the box. Such an init outlives its host from REQUEST_KEEP on: it closes
 * the socket that this has come by. */
#define REQUEST_JOB 1u
#define REQUEST_SIGNAL 2u
#define REQUEST_KEEP 3u
#define REQUEST_BOX 4u
#define REQUEST_END 5u
#define REQUEST_SOCKET 6u

enum {
    JOB_ENDS_BOX = 1 << 0,    /* the box ends with it */
    JOB_TELLS_STOPS = 1 << 1, /* the init tells when it is stopped */
    JOB_COPIES =
        1
        << 2, /* until exec it has a copy of the init's memory: it sets what the kernel keeps for all that share one */
    JOB_OUTLIVES = 1 << 3, /* it goes on when the host that has asked for it is gone */
    JOB_KIB = 8,           /* the bits from here on: how many KiB its plan takes, with the tables of its player */
};

/* The init's first record about a job, with the job's pidfd: error is the number of the place where its plan lies,
 * PLAN_PLACES if in none of them. Without a pidfd it says why the job could not be started. */
#define INIT_JOB 0xfffffffbu
/* The record before a job's INIT_STATUS. error is a number of bytes, which follow: what wait4(2) says of the job's
 * usage, as INIT_USAGE_LONGS longs. */
#define INIT_USAGE 0xfffffffau
#define INIT_USAGE_LONGS 18

/* The record of a launcher that has entered the namespaces of others (join), and has made the process that plays the
 * next plan: error is the pid of that process, and its pidfd comes with the record. */
#define LAUNCHER_CLONED 0xfffffff9u

/* The record of a launcher that has opened the program's terminal in the box, with the host's end of it. */
#define LAUNCHER_PTY 0xfffffff8u

/* What the init of a box with a name is given as descriptors 0, 1, ...; the last two where it keeps what its program
 * writes.
 *
 * LISTENER: a socket that listens (SOCK_SEQPACKET). STATE: what a later host needs to know of the box; the init only
 * hands it on. OUTPUT: a pipe from the program, which the init reads into LOG, a struct log in memory that has a
 * descriptor. */
enum { BOX_LISTENER, BOX_STATE, BOX_OUTPUT, BOX_LOG };

/* Which directory it is that the socket of a box with a name lies in, as of statx(2). */
struct identity {
    uint32_t major, minor;
    uint64_t inode;
};

/* error is the protocol that the init speaks (PROTOCOL). With the record come the descriptors of STATE, of the init (a
 * pidfd), and of LOG, if there is one. */
#define INIT_BOX 0xfffffff7u

/* The answer to REQUEST_SOCKET. */
#define INIT_MADE 0xfffffff6u

/* The record of a launcher that has made a socket for the host, with it. */
#define LAUNCHER_SOCKET 0xfffffff5u

/* The record of a launcher that has made an upper which is thrown away, with a descriptor of that. */
#define LAUNCHER_UPPER 0xfffffff4u

/* The last LOG_SIZE bytes of a program's output. `written`: how many there have been; byte n is in bytes[n % LOG_SIZE].
 * `begun`: of those before begun - LOG_SIZE some may be written over just now. */
#define LOG_SIZE 65536u
struct log {
    uint64_t begun, written;
    char bytes[LOG_SIZE];
};

/* Memory of the host's that a supervisor writes what a filter refuses into (launcher/trace.c), in order of the first
 * refusal. */
#define TRACE_ROWS 254u
struct refusal {
    uint32_t audit, number; /* the architecture and the number of the call, as in struct seccomp_data */
    uint32_t error, count;  /* the errno that it got, and how often */
};
/* listener: the descriptor that the filter asks through, + 1. It is set when the filter is installed, or to -1 when
 * that is refused, and is 0 again when the supervisor has it. */
struct trace {
    int32_t listener;
    uint32_t count, more; /* rows; and refusals for which there was none */
    struct refusal rows[TRACE_ROWS];
};

/* To be raised with each change of the meaning of anything in this file, of what an op does, or of what is in a STATE:
 * a host with another protocol does not speak to a box. New ops and fields need not be thought of: core/named.c makes a
 * number of all these. */
#define PROTOCOL 4u

/* The most descriptors that the kernel takes with one message (SCM_MAX_FD). */
#define DESCRIPTORS_MAX 253

#endif
