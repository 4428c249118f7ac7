/* Ends a process and what it has started, where no pid namespace does that by itself.
 *
 * A process that is stopped starts nothing more, and does not reap: so its children keep their pids while they are looked
 * up and stopped in turn. What has left the tree (a daemon whose parent has ended) is not found: that needs a pid
 * namespace. */
#include "core.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define TREE_MAX 4096

struct tree {
    pid_t pids[TREE_MAX];
    int count;
};

static void add(struct tree *t, pid_t pid) {
    if (t->count == TREE_MAX || kill(pid, SIGSTOP) < 0) return;
    t->pids[t->count++] = pid;
}

static void add_children_of_thread(struct tree *t, pid_t pid, const char *thread) {
    char path[64];
    int child;
    snprintf(path, sizeof path, "/proc/%d/task/%.20s/children", (int)pid, thread);
    FILE *f = fopen(path, "re");
    if (!f) return;
    while (fscanf(f, "%d", &child) == 1) add(t, child);
    fclose(f);
}

static void add_children(struct tree *t, pid_t pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    if (!threads) return;
    for (struct dirent *d; (d = readdir(threads));)
        if (d->d_name[0] != '.') add_children_of_thread(t, pid, d->d_name);
    closedir(threads);
}

/* Kills the descendants of a child of ours, which is stopped; the child itself is left to the caller. */
void ns_kill_descendants(pid_t pid) {
    struct tree *t = malloc(sizeof *t);
    if (!t) return;
    t->count = 0;
    add(t, pid);
    for (int i = 0; i < t->count; i++) add_children(t, t->pids[i]);
    for (int i = t->count - 1; i > 0; i--) kill(t->pids[i], SIGKILL);
    free(t);
}
