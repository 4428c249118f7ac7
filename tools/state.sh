#!/bin/sh
# Says what no test may change on its host, one item a line: the mounts, what stands in / and at /proc, /dev, /sys, /etc and
# /tmp, the kernel's settings but those that count, and the files of /dev and /etc. tools/job.sh compares it before and after.
set -u
sed 's/^/mount /' /proc/self/mountinfo
stat -f -c '%n: %t' /proc /dev /sys
stat -c '%n: %d %i' / /proc /dev /dev/pts /sys /etc /tmp
grep -rs '' /proc/sys |
  grep -vE '^/proc/sys/(fs/(aio-nr|dentry-|file-|inode-|quota)|kernel/(ns_last_pid|perf_|pty/nr|random)|net/netfilter|vm/stat_refresh)'
find / /mnt -maxdepth 1 -printf '%p %M %U:%G %l\n' 2>&1
find /dev -path /dev/pts -prune -o -printf '%p %M %U:%G %l\n' 2>&1
find /etc -printf '%p %M %U:%G %s %T@ %l\n' 2>&1
