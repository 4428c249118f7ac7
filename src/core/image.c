#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "../launcher/sys.h"
#include "child.h"
#include "io.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x10u
#endif

/* the launcher's bytes, from the file that the Makefile has built */
__asm__(".pushsection .rodata\n"
        ".balign 16\n"
        ".globl ns_launcher_image, ns_launcher_end\n"
        ".hidden ns_launcher_image, ns_launcher_end\n"
        "ns_launcher_image: .incbin \"" LAUNCHER "\"\n"
        "ns_launcher_end: .byte 0\n"
        ".popsection\n");
extern const char ns_launcher_image[], ns_launcher_end[];

static int failed(int fd, int error) {
    close(fd);
    errno = error;
    return -1;
}

/* 0, or -1 with errno. */
static int fill(int fd) {
    size_t size = (size_t)(ns_launcher_end - ns_launcher_image);
    ssize_t written = ns_write_nosignal(fd, ns_launcher_image, size);
    if (written >= 0 && written < (ssize_t)size) errno = EFBIG;
    return written == (ssize_t)size ? fchmod(fd, 0555) : -1;
}

static int make_memfd(void) {
    int fd = memfd_create("ns", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
    if (fd < 0 && errno == EINVAL) fd = memfd_create("ns", MFD_CLOEXEC | MFD_ALLOW_SEALING); /* before 6.3 */
    fd = ns_above_stdio(fd);
    if (fd < 0) return -1;
    if (fill(fd) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0)
        return fd;
    return failed(fd, errno);
}

/* In a directory where programs can be executed; opened anew, as what is open for writing is not. */
static int make_file_in(const char *directory) {
    struct statvfs s;
    char path[32];
    if (!directory || statvfs(directory, &s) < 0 || s.f_flag & ST_NOEXEC) return errno = EACCES, -1;
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0500);
    if (fd < 0) return -1;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int again = fill(fd) == 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    close(fd);
    return ns_above_stdio(again);
}

static bool may_pass(int error) {
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOSPC || error == EDQUOT;
}

/* Without a name. EACCES: there is no such directory; another errno: there may be one the next time. */
static int make_file(void) {
    const char *places[] = {getenv("TMPDIR"), getenv("XDG_RUNTIME_DIR"), "/dev/shm", "/tmp", "/var/tmp"};
    int error = EACCES;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        int fd = make_file_in(places[i]);
        if (fd >= 0) return fd;
        if (may_pass(errno)) error = errno;
    }
    return errno = error, -1;
}

static bool is_it(const struct image *image, const struct stat *s) {
    return s->st_dev == image->device && s->st_ino == image->inode;
}

/* A host may close descriptors that it does not know, and open others under the same number: never execute or close
 * those. */
static bool still_ours(const struct image *image) {
    struct stat s;
    return image->fd >= 0 && fstat(image->fd, &s) == 0 && is_it(image, &s);
}

/* The next way, if the error will come again; false if it will not, or there is none. */
bool ns_next_way(struct image *image, int error) {
    if (!ns_is_denied(error) || image->way == BY_COPY) return false;
    ns_drop_image(image);
    image->way++;
    return true;
}

/* Makes what is executed, where that is not there yet. False, with errno: it cannot be executed, from now on, or this
 * time if what is missing may come back. Who must not be a copy of us has a file tried for it again: the refusals that
 * have led to the copies may be gone. */
bool ns_have_image(struct image *image, bool copy) {
    struct stat s;
    if (image->way == BY_COPY && copy) return errno = EACCES, false;
    if (still_ours(image)) return true;
    ns_drop_image(image);
    image->fd = image->way == BY_MEMFD ? make_memfd() : make_file();
    if (image->fd < 0 || fstat(image->fd, &s) < 0) {
        int error = errno;
        if (image->fd >= 0) close(image->fd);
        image->fd = -1;
        return ns_next_way(image, error) ? ns_have_image(image, copy) : (errno = error, false);
    }
    image->device = s.st_dev;
    image->inode = s.st_ino;
    return true;
}

/* One that cannot be looked at was ours when it could. */
void ns_drop_image(struct image *image) {
    struct stat s;
    if (image->fd >= 0 && (fstat(image->fd, &s) < 0 || is_it(image, &s))) close(image->fd);
    image->fd = -1;
}

/* The child has its own descriptor. A memfd is sealed, and good for all. A program that has got hold of a file might
 * write it when nobody executes it any more: the next launch has another one. */
void ns_image_used(struct image *image) {
    if (image->way != BY_MEMFD) ns_drop_image(image);
}
