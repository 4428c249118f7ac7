/* Mounts a file system whose server never answers, runs a command, and takes the mount away again: every look into it waits
 * until the one who looks is killed.
 * usage: hung DIRECTORY COMMAND ... */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    char options[128];
    int status = 0, server = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (argc < 3 || server < 0) return perror("/dev/fuse"), 77;
    snprintf(options, sizeof options, "fd=%d,rootmode=40755,user_id=0,group_id=0,allow_other", server);
    if (mount("hung", argv[1], "fuse", 0, options) < 0) return perror("mount"), 77;
    pid_t child = fork();
    if (child == 0) execvp(argv[2], argv + 2);
    if (child < 0 || waitpid(child, &status, 0) < 0) perror("command");
    close(server);
    umount2(argv[1], MNT_DETACH);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
