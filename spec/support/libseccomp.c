/* Filters as libseccomp makes them, which is loaded where it is; its headers are not needed.
 *
 * usage: libseccomp <LINES
 *   numbers ARCH NAME...                    a line of the numbers of calls; -1 for those that ARCH has not
 *   new ARCH DEFAULT FILE                   begins a filter
 *   rule ACTION NAME [INDEX OP A B]...      adds a rule; says "ok", or "refused" and the errno
 *   end                                     writes the filter into the file
 * ARCH, ACTION and OP are the library's numbers. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct test {
    unsigned arg;
    int op;
    uint64_t a, b;
};

static void *library;
static void *find(const char *name) {
    void *at = dlsym(library, name);
    if (!at) exit(77);
    return at;
}

#define CALL(result, name, ...) ((result(*)(__VA_ARGS__))find(#name))

int main(void) {
    static char line[200000];
    library = dlopen("libseccomp.so.2", RTLD_NOW);
    if (!library) return 77;
    void *filter = NULL;
    char path[4096] = "";
    while (fgets(line, sizeof line, stdin)) {
        char *word = strtok(line, " \n");
        if (!strcmp(word, "numbers")) {
            uint32_t arch = (uint32_t)strtoul(strtok(NULL, " \n"), NULL, 0);
            while ((word = strtok(NULL, " \n")))
                printf("%d ", CALL(int, seccomp_syscall_resolve_name_arch, uint32_t, const char *)(arch, word));
            puts("");
        } else if (!strcmp(word, "new")) {
            uint32_t arch = (uint32_t)strtoul(strtok(NULL, " \n"), NULL, 0);
            filter = CALL(void *, seccomp_init, uint32_t)((uint32_t)strtoul(strtok(NULL, " \n"), NULL, 0));
            uint32_t native = CALL(uint32_t, seccomp_arch_native, void)();
            if (arch != native) {
                CALL(int, seccomp_arch_add, void *, uint32_t)(filter, arch);
                CALL(int, seccomp_arch_remove, void *, uint32_t)(filter, native);
            }
            CALL(int, seccomp_attr_set, void *, int, uint32_t)(filter, 2 /* bad architecture */, 0x80000000u);
            snprintf(path, sizeof path, "%s", strtok(NULL, " \n"));
        } else if (!strcmp(word, "rule")) {
            struct test tests[6];
            unsigned count = 0;
            uint32_t action = (uint32_t)strtoul(strtok(NULL, " \n"), NULL, 0);
            int number = CALL(int, seccomp_syscall_resolve_name, const char *)(strtok(NULL, " \n"));
            for (; count < 6 && (word = strtok(NULL, " \n")); count++) {
                tests[count].arg = (unsigned)strtoul(word, NULL, 0);
                tests[count].op = (int)strtol(strtok(NULL, " \n"), NULL, 0);
                tests[count].a = strtoull(strtok(NULL, " \n"), NULL, 0);
                tests[count].b = strtoull(strtok(NULL, " \n"), NULL, 0);
            }
            int r = CALL(int, seccomp_rule_add_exact_array, void *, uint32_t, int, unsigned, const struct test *)(
                filter, action, number, count, tests);
            r ? printf("refused %d\n", -r) : puts("ok");
        } else if (!strcmp(word, "end")) {
            int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
            if (CALL(int, seccomp_export_bpf, void *, int)(filter, fd)) return 1;
            CALL(void, seccomp_release, void *)(filter);
            close(fd);
        }
    }
    return 0;
}
