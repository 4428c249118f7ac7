/* Included before each file of a test build: what the module asks of the C library's memory may be refused. The host that
 * loads it (spec/support/alloc.c) decides. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

__attribute__((visibility("default"))) int starve(void);

#define OR_STARVE(nothing, call) (starve() ? (errno = ENOMEM, nothing) : (call))
#define malloc(size) OR_STARVE(NULL, malloc(size))
#define realloc(old, size) OR_STARVE(NULL, realloc(old, size))
#define mmap(...) OR_STARVE(MAP_FAILED, mmap(__VA_ARGS__))
#define mremap(...) OR_STARVE(MAP_FAILED, mremap(__VA_ARGS__))
#define opendir(path) OR_STARVE(NULL, opendir(path))
#define fopen(path, mode) OR_STARVE(NULL, fopen(path, mode))
#define fdopen(fd, mode) OR_STARVE(NULL, fdopen(fd, mode))
#define fopencookie(cookie, mode, functions) OR_STARVE(NULL, fopencookie(cookie, mode, functions))
