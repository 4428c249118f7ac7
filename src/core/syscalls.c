/* The machine that this is built for, and the numbers of its system calls, as the compiler's headers have them. */
#include <asm/unistd.h>
#include <stdlib.h>
#include <string.h>

#ifdef __arm__
#define __NR_breakpoint __ARM_NR_breakpoint
#define __NR_cacheflush __ARM_NR_cacheflush
#define __NR_usr26 __ARM_NR_usr26
#define __NR_usr32 __ARM_NR_usr32
#define __NR_set_tls __ARM_NR_set_tls
#define __NR_get_tls __ARM_NR_get_tls
#endif

#include "open.h"
#include "syscalls.h"

#if defined(__x86_64__)
#define MACHINE "x86_64"
#elif defined(__i386__)
#define MACHINE "x86"
#elif defined(__aarch64__)
#define MACHINE "aarch64"
#elif defined(__arm__)
#define MACHINE "arm"
#else
#define MACHINE "riscv64"
#endif

static const struct syscall own[] = {SYSCALLS(SYSCALL), {NULL, NULL}};

/* The sum in a text as "(0x40000000 + 520)"; -1 if it is none. */
static long value_of(const char *text) {
    long sum = 0;
    if (strstr(text, "__NR_")) return -1;
    while (*(text += strspn(text, "( )+"))) {
        char *end;
        sum += strtol(text, &end, 0);
        if (end == text) return -1;
        text = end;
    }
    return sum;
}

/* syscalls(machine) -> {[name] = number}: of "x86_64" ...; nil if its programs do not run here */
static int syscalls(lua_State *L) {
    const char *machine = luaL_checkstring(L, 1);
    const struct syscall *s = !strcmp(machine, MACHINE) ? own : NULL;
    if (!s && !strcmp(machine, "x86")) s = ns_syscalls_x86();
    if (!s && !strcmp(machine, "x32")) s = ns_syscalls_x32();
    if (!s) return 0;
    lua_newtable(L);
    for (; s->name; s++) {
        long number = value_of(s->number);
        if (number < 0) continue;
        lua_pushinteger(L, (lua_Integer)number);
        lua_setfield(L, -2, s->name);
    }
    return 1;
}

static const luaL_Reg functions[] = {{"syscalls", syscalls}, {NULL, NULL}};

void nsL_open_syscalls(lua_State *L) {
    nsL_setfuncs(L, functions);
    lua_pushliteral(L, MACHINE);
    lua_setfield(L, -2, "machine");
}
