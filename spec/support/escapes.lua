--- Ways out of a box. A row: `id`, `what` is attempted, `sh` or `perl` to be run inside, and how to tell that it has worked:
-- `reached`, a pattern in the output (default: REACHED), or `after(r, world)`, asked on the host with the result. `spec`:
-- more words for the box; `strong`: for the sandbox alone, as the attempt would do harm from a weak box.
--
-- {TREE} is the host's directory with the marker, {BIND} and {RO} are the parts of it that are bound, {TMP} is a place to
-- write; {HOSTPID}, {KEY}, {USERKEY} and {HANDLE} belong to the host (`support.world`).
local function host_is_hurt(_, world)
  return not world.alive()
end

local NESTED = { disable_userns = false }
local NAMESPACED = "net/|user/|fs/mqueue/|kernel/(shm|msg|sem|auto_msgmni|ns_last_pid|hostname|domainname|pid_max)"

return {
  -- ---- the 34 ----
  { id = "A01", what = "up from the root", sh = "cat /../../../..{TREE}/marker", reached = "HOSTMARK" },
  { id = "A02", what = "the root of process 1", sh = "cat /proc/1/root{TREE}/marker", reached = "HOSTMARK" },
  { id = "A03", what = "a directory that was left open",
    sh = "for n in $(seq 3 64); do test -e /proc/self/fd/$n/etc/hostname && echo REACHED; done" },
  { id = "A04", what = "the old root", sh = [[cut -d' ' -f5 /proc/self/mountinfo | grep -E '^/(old|put_old|oldroot)' &&
    echo REACHED]] },
  { id = "A05", what = "out of a chroot in a chroot", perl = [[
    mkdir "{TMP}/d"; chroot "{TMP}/d" or die $!; chdir ".." for 1 .. 64; chroot "."; exec "cat", "{TREE}/marker"]],
    reached = "HOSTMARK" },
  { id = "A06", what = "a device node for a disk", sh = "mknod {TMP}/disk b 254 0 && echo REACHED; rm -f {TMP}/disk" },
  { id = "A07", what = "a signal to a process of the host", sh = "kill -0 {HOSTPID} && echo REACHED" },
  { id = "A08", what = "the environment of the host", sh = "cat /proc/{HOSTPID}/environ", reached = "HOST_SECRET" },
  { id = "A09", what = "the host's core_pattern", sh = ": >> /proc/sys/kernel/core_pattern && echo REACHED" },
  { id = "A10", what = "the host's sysrq", sh = ": >> /proc/sysrq-trigger && echo REACHED" },
  { id = "A11", what = "the host's uevent_helper", sh = ": >> /sys/kernel/uevent_helper && echo REACHED" },
  { id = "A12", what = "a kernel module", perl = [[
    call("init_module", 0, 0, ""); print "REACHED" unless $!{EPERM} || $!{ENOSYS}]] },
  { id = "A13", what = "a key of the host's session", perl = [[
    call("keyctl", 11, {KEY}, "\0" x 64, 64); print $out[2] ]], reached = "HOSTKEY" },
  { id = "A14", what = "an abstract socket of the host", perl = [[
    socket my $s, 1, 1, 0; print "REACHED" if connect $s, pack "Sa*", 1, "\0host-abstract"]] },
  { id = "A15", what = "the loopback of the host", perl = [[
    use Socket; socket my $s, 2, 1, 0; print "REACHED" if connect $s, sockaddr_in(45871, inet_aton("127.0.0.1"))]] },
  { id = "A16", what = "shared memory of the host", sh = "ipcs -m | grep 0x6e737231 && echo REACHED" },
  { id = "A17", what = "typing into the host's terminal", perl = [[
    require "sys/ioctl.ph"; open my $t, "+<", "/dev/tty" or die $!;
    my $x = "x"; print "REACHED" if ioctl $t, &TIOCSTI, $x]] },
  { id = "A18", what = "a read-only mount made writable",
    sh = "mount -o remount,rw,bind {RO} && touch {RO}/x && echo REACHED" },
  { id = "A19", what = "the same in a user namespace of its own",
    sh = "unshare -Urm sh -c 'mount -o remount,rw,bind {RO} && touch {RO}/x && echo REACHED'" },
  { id = "A20", what = "a write to a read-only mount", sh = "touch {RO}/x && echo REACHED" },
  { id = "A21", what = "the mount namespace of process 1",
    sh = "nsenter -t 1 -m cat {TREE}/marker", reached = "HOSTMARK" },
  { id = "A22", what = "new privileges", sh = "grep -q 'NoNewPrivs:.*0' /proc/self/status && echo REACHED" },
  { id = "A23", what = "capabilities", sh = "grep CapEff /proc/self/status | grep -v 0000000000000000 && echo REACHED" },
  { id = "A24", what = "devices of the host",
    sh = "ls /dev | grep -xE 'vda|sda|mem|kmsg|kvm|vsock|port|fuse' && echo REACHED" },
  { id = "A25", what = "a limit raised", sh = "ulimit -Hn $(($(ulimit -Hn) + 1)) && echo REACHED" },
  { id = "A26", what = "a file of the host by its handle", perl = [[
    opendir my $d, "{BIND}"; my $h = pack "H*", "{HANDLE}";
    print "REACHED" if call("open_by_handle_at", fileno($d), $h, 0) >= 0]] },
  { id = "A27", what = "the host's name", sh = "hostname evil", after = function(_, world)
    return world.read("/proc/sys/kernel/hostname"):match("%S+") ~= "outer"
  end },
  { id = "A28", what = "the host's processes", sh = "test $(ls -d /proc/[0-9]* | wc -l) -gt 8 && echo REACHED" },
  { id = "A29", what = "a set-user-ID program", sh = "{BIND}/id", reached = "euid=" },
  { id = "A30", what = "a mount", sh = "mount -t tmpfs t {TMP} && echo REACHED" },
  { id = "A31", what = "an unmount", sh = "umount -l /proc && echo REACHED" },
  { id = "A32", what = "a control group hierarchy", strong = true,
    sh = "mount -t cgroup -o memory c {TMP} && echo REACHED; mount -t cgroup2 c {TMP} && echo REACHED" },
  { id = "A33", what = "a fork bomb", strong = true, may_be_late = true, perl = "fork while 1 # ns-bomb",
    spec = { rlimits = { nproc = 64 }, timeout = 1, grace = 0 }, after = function(r, world)
      return not r.timed_out or not world.eventually(function() return world.processes("ns-bomb") == 0 end)
    end },
  { id = "A34", what = "signals to process 1 and to all", strong = true,
    sh = "kill -STOP 1; kill -KILL 1; kill -STOP -1; kill -KILL -1; exit 7", after = function(r, world)
      return r.code ~= 7 or not world.alive()
    end },

  -- ---- and some that fit this implementation ----
  { id = "B01", what = "the launcher, overwritten through init", sh = ": >> /proc/1/exe && echo REACHED" },
  { id = "B02", what = "init, traced", strong = true, perl = [[
    print "REACHED" if call("ptrace", 16, 1, 0, 0) >= 0 || call("ptrace", 0x4206, 1, 0, 0) >= 0]] },
  { id = "B03", what = "init's memory", strong = true, perl = [[
    my $b = "x" x 8; my $here = pack "PQ", $b, 8; my $there = pack "QQ", 0x400000, 8;
    print "REACHED" if call("process_vm_readv", 1, $here, 1, $there, 1, 0) >= 0;
    print "REACHED" if call("process_vm_writev", 1, $here, 1, $there, 1, 0) >= 0;
    print "REACHED" if open my $m, "+<", "/proc/1/mem"]] },
  { id = "B04", what = "what init has open, and where it is", strong = true, sh = [[
    for f in /proc/1/exe /proc/1/root /proc/1/cwd /proc/1/fd/*; do readlink $f && echo REACHED; done
    ls /proc/1/map_files/ && echo REACHED
    for n in environ maps auxv; do test -n "$(cat /proc/1/$n | tr '\0' x)" && echo REACHED; done]] },
  { id = "B05", what = "init's socket to the host, taken", strong = true, perl = [[
    my $p = call("pidfd_open", 1, 0); for my $n (0 .. 63) { print "REACHED" if call("pidfd_getfd", $p, $n, 0) >= 0 }]] },
  { id = "B06", what = "init's memory, in the first moment", strong = true, repeated = 30, program = "{BIND}/first" },
  { id = "B07", what = "a forged status", strong = true, perl = [[
    my $record = pack "Ll", 0xffffffff, 0;
    for my $n (0, 3 .. 255) { open my $f, ">>&=", $n or next; syswrite $f, $record; send $f, $record, 0 }
    for my $n (glob "/proc/*/fd/*") { next unless -S $n; open my $f, "+<", $n or next; syswrite $f, $record }
    exit 9]],
    after = function(r) return r.code ~= 9 end },
  { id = "B08", what = "the namespaces of init", strong = true, perl = [[
    for my $n (glob "/proc/1/ns/*") { print "REACHED" if open my $f, "<", $n }
    my $p = call("pidfd_open", 1, 0); print "REACHED" if call("setns", $p, 0x00020000) >= 0]] },
  { id = "B09", what = "the newer mount calls", perl = [[
    print "REACHED" if call("fsopen", "tmpfs", 0) >= 0 || call("open_tree", -100, "/", 0x8001) >= 0;
    my $clear = pack "QQQQ", 0, 1, 0, 0; my $ro = "{RO}";
    print "REACHED" if call("mount_setattr", -100, $ro, 0x8000, $clear, 32) >= 0]] },
  -- In a user namespace of its own a program has all capabilities, if over little; here without exec, which takes them.
  { id = "B10", what = "the same in a user namespace of its own", spec = NESTED, perl = [[
    nested(0x20000); my ($clear, $ro) = (pack("QQQQ", 0, 1, 0, 0), "{RO}");
    print "REACHED" if call("mount_setattr", -100, $ro, 0x8000, $clear, 32) >= 0;
    print "REACHED" if call("mount", 0, $ro, 0, 0x1020, 0) >= 0 && open my $f, ">", "$ro/x"]] },
  { id = "B11", what = "what lies below the mounts, in a user namespace of its own", spec = NESTED, strong = true, perl = [[
    nested(0x20000); my $tmp = "/tmp";
    for my $over ("/", "/proc", "/dev", "/tmp", "/bind", "/") {
      print "REACHED $over" if call("umount2", $over, 2) >= 0; exit print "REACHED" if -e "{TREE}/marker" }
    mkdir "/tmp/new"; call("mount", "/tmp/new", "/tmp/new", 0, 0x1000, 0); chdir "/tmp/new";
    call("pivot_root", ".", ".") >= 0 && call("umount2", ".", 2);
    chdir ".." for 1 .. 9; print "REACHED" if -e "./{TREE}/marker" || -e "{TREE}/marker"]] },
  { id = "B12", what = "processes of the host in a /proc of its own", spec = NESTED, perl = [[
    nested(0x20020000); wait, exit if fork; my ($proc, $at) = ("proc", "{TMP}"); call("mount", $proc, $at, $proc, 0, 0);
    print "REACHED" if -e "{TMP}/{HOSTPID}"; print "REACHED" if open my $f, ">>", "{TMP}/sys/kernel/core_pattern"]] },
  { id = "B13", what = "a /sys", spec = NESTED, strong = true, perl = [[
    print "REACHED" if -e "/sys/kernel"; nested(0x40020000); my ($sys, $at) = ("sysfs", "/tmp");
    print "REACHED" if call("mount", $sys, $at, $sys, 0, 0) >= 0 && open my $f, ">>", "/tmp/kernel/uevent_helper"]] },
  { id = "B14", what = "a control group that can be written", spec = NESTED, strong = true, perl = [[
    nested(0x02020000); my ($cgroup, $at) = ("cgroup2", "/tmp"); call("mount", $cgroup, $at, $cgroup, 0, 0);
    for ("procs", "kill") { print "REACHED $_" if open my $f, ">>", "/tmp/cgroup.$_" }]] },
  { id = "B15", what = "a file by its handle, in a user namespace of its own", spec = NESTED, perl = [[
    nested(0x20000); opendir my $d, "{BIND}"; my $h = pack "H*", "{HANDLE}";
    print "REACHED" if call("open_by_handle_at", fileno($d), $h, 0) >= 0]] },
  { id = "B16", what = "a set-user-ID program of the host's root", sh = "cp /bin/true {BIND}/su; chmod 6755 {BIND}/su",
    after = function(_, world) return world.owner("bind/su") == 0 end },
  { id = "B17", what = "a device node in a bound tree", sh = "mknod {BIND}/zero c 1 5 && echo REACHED; rm -f {BIND}/zero" },
  { id = "B18", what = "a hard link to a file that is read-only", perl = [[
    print "REACHED" if link "{RO}/file", "{BIND}/linked"; open my $f, "<", "{RO}/file"; my $to = "{BIND}/linked";
    print "REACHED" if call("linkat", fileno($f), "", -100, $to, 0x1000) >= 0;
    my $from = "/proc/self/fd/" . fileno($f);
    print "REACHED" if call("linkat", -100, $from, -100, $to, 0x400) >= 0; unlink $to]] },
  { id = "B19", what = "settings of the kernel that are not namespaced", strong = true, perl = ([[
    use File::Find; find { no_chdir => 1, wanted => sub {
      return if -d || m{^/proc/sys/(%s)}; print "REACHED $_\n" if open my $f, ">>", $_ } }, "/proc/sys"]])
      :format(NAMESPACED) },
  { id = "B20", what = "what else of /proc can be written", strong = true, perl = [[
    for (glob "/proc/*") { next if -d || m{^/proc/\d|self}; print "REACHED $_\n" if open my $f, ">>", $_ }
    for ("irq", "bus", "fs", "acpi", "scsi", "driver", "mtrr") { my $d = "/proc/$_"; next unless -d $d;
      print "REACHED $d\n" if `find $d -writable 2>/dev/null` }]] },
  { id = "B21", what = "typing into the terminal that it was given", spec = { stdin = "inherit" }, perl = [[
    require "sys/ioctl.ph"; -t STDIN or die "REACHED: no terminal";
    my $x = "x"; print "REACHED" if ioctl(STDIN, &TIOCSTI, $x) || ioctl STDIN, &TIOCSCTTY, 1]] },
  { id = "B22", what = "signals to the host's process group", strong = true, sh = "kill -KILL 0", after = host_is_hurt },
  { id = "B23", what = "calls for the machine as a whole", strong = true, perl = [[
    my %calls = (delete_module => ["x", 0], finit_module => [99, "", 0], kexec_load => [0, 0, 0, 0], swapoff => ["x"],
      swapon => ["x", 0], acct => [0], settimeofday => [pack("QQ", 0, 0), 0], clock_settime => [0, pack "QQ", 0, 0],
      adjtimex => [pack("L", 1) . "\0" x 256], sethostname => ["x", 1], setdomainname => ["x", 1], vhangup => [],
      chroot => ["/"], unshare => [0x00020000], setns => [0, 0], fanotify_init => [4, 0],
      reboot => [0, 0, 0, 0], mknod => ["{TMP}/c", 020666, 0x105], sched_setscheduler => [0, 1, pack "L", 1],
      setgroups => [1, pack "L", 4], setresuid => [1, 1, 1], capset => [pack("LL", 0x20080522, 0), "\377" x 24]);
    for my $name (sort keys %calls) {
      next unless known($name);
      print "REACHED $name: $!\n" if call($name, @{$calls{$name}}) >= 0 || !($!{EPERM} || $!{ENOSYS} || $!{EINVAL});
    }]] },
  { id = "B24", what = "a key of the host's user", perl = [[
    for my $id ({USERKEY}, call("keyctl", 10, -4, "user", "host-user-key", 0)) {
      call("keyctl", 11, $id, "\0" x 64, 64); print $out[2] }]], reached = "HOSTKEY" },
  { id = "B25", what = "the mode of the host's devices", strong = true,
    sh = "chmod 0 /dev/null; chown 0 /dev/zero; rm /dev/full",
    after = function(_, world)
      return world.sh("stat -c %a%u /dev/null /dev/zero /dev/full") ~= "6660\n6660\n6660\n"
    end },
  { id = "B26", what = "the environment of any process", strong = true, sh = "cat /proc/*/environ /proc/*/cmdline",
    reached = "HOST_SECRET" },
  { id = "B27", what = "terminals of the host", strong = true, sh = "ls /dev/pts | grep -v ptmx && echo REACHED" },
  { id = "B28", what = "the working directory", strong = true,
    sh = "test $(pwd) = / || echo REACHED; cat ../..{TREE}/marker",
    reached = "[RH][EO][AS][CT]" },

  -- ---- and some that fit a network ----
  { id = "C01", what = "the loopback of the host, by way of the gateway", perl = [[
    use Socket; open my $f, "<", "/proc/net/route";
    for (<$f>) { my (undef, $to, $via) = split; next if $to =~ /\D/ || $to || $via !~ /[1-9A-F]/;
      socket my $s, 2, 1, 0; alarm 5; print "REACHED" if connect $s, pack("Sna4x8", 2, 45871, pack "L", hex $via) }]] },
  { id = "C02", what = "the loopback of the host, by its other names", perl = [[
    use Socket ":all"; $SIG{ALRM} = sub { exit };
    for ("127.0.0.2", "0.0.0.0", "127.255.255.254", "192.0.2.1", "198.51.100.1") {
      socket my $s, 2, 1, 0; alarm 2; print "REACHED $_" if connect $s, sockaddr_in(45871, inet_aton($_)) }
    for ("::1", "::", "::ffff:127.0.0.1", "fd00::1") {
      socket my $s, 10, 1, 0; alarm 2; print "REACHED $_" if connect $s, pack_sockaddr_in6(45871, inet_pton(10, $_)) }]] },
  { id = "C03", what = "a change of its network", sh = [[
    ip link set lo down && echo REACHED; ip addr add 10.9.9.9 dev lo && echo REACHED
    ip route add 10.9.0.0/16 dev lo && echo REACHED; ip link add x type bridge && echo REACHED
    echo 1 >/proc/sys/net/ipv4/ip_forward && echo REACHED; true]] },
  { id = "C04", what = "packets of its own making", perl = [[
    print "REACHED packet" if socket my $p, 17, 3, 0x300; print "REACHED raw" if socket my $r, 2, 3, 255;
    print "REACHED netfilter" if socket(my $n, 16, 3, 12) && send($n, pack("LSSLL", 20, 0xa01, 0x301, 1, 0) . "\0" x 4, 0)
      && sysread($n, my $b, 999) && unpack("x16l", $b) != -1]] },
  { id = "C05", what = "who moves its bytes", sh = "cat /proc/[0-9]*/comm | grep -E 'pasta|passt|socat' && echo REACHED" },
  { id = "C06", what = "a socket of the host's among its own", sh = "ls -l /proc/self/fd | grep socket: && echo REACHED" },
}
