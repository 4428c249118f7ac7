/* A plan that was written into a file, for the programs of bench/ and proof/ that start it without Lua. */
#ifndef NS_PLAN_FILE_H
#define NS_PLAN_FILE_H

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../src/plan.h"

/* The plan, which has plan->size bytes; without one the program ends. */
static const struct plan *read_plan_file(const char *path) {
    struct stat s;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &s) < 0) exit(2);
    void *plan = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (plan == MAP_FAILED) exit(2);
    return plan;
}

#endif
