--- The hosts that people have, a row each.
--
-- name    what is special about it
-- setup   a shell line that makes it, played by root in namespaces of its own; in it "$@" is what shall run there, which is
--         executed at its end where it says nothing of it. The directory has a build of the project, with build/refuse
-- vm      a kernel (kernels): the host is a virtual machine in which systemd is process 1
-- specs   the spec files of the short form, "run sandbox"; none: the long form alone has this host
-- long    those of the long form: all of them where nothing is said
-- users   who runs the specs there: "root", "user" (both where nothing is said); in a virtual machine "tester", and services
--         of the system's ("unit") and of his manager ("managed")
-- part    a part of the proof that is played there in its short form, in place of specs
-- lua     the interpreter, lua5.4 where nothing is said
-- needs   a program without which the host cannot be had
local rows = {}

local function host(row) rows[#rows + 1] = row end

-- What nearly every program needs, and what systems differ in: the named sets.
local BASE = "stdio process sandbox"
local MOUNTS = "sandbox root mounts check"
local FEW = "run sandbox check"

host { name = "shared mounts", setup = "mount --make-rshared /", specs = "sandbox check" }

-- ---- virtual machines ----

-- A service's control group is systemd's work, and the same on each kernel: the first one is enough for these.
local users_of_limits = { "root", "tester", "unit", "managed" }

for line in io.lines("proof/kernels") do
  local release, package = line:match("^([%d.]+) +(%S+)$")
  if release then
    host { name = "systemd, Linux " .. release, vm = package,
      long = "sandbox root mounts check process user" }
    host { name = "limits, Linux " .. release, vm = package, users = users_of_limits, long = "groups" }
    users_of_limits = nil
    host { name = "Linux " .. release, vm = package, users = { "root" }, part = "model" }
  end
end

-- ---- containers ----

-- What docker hides and makes read-only (moby: oci/defaults.go), and what its filter refuses (profiles/seccomp).
local MASKED = [[
  for place in /proc/acpi /proc/scsi /sys/firmware /sys/devices/virtual/powercap; do
    [ ! -d $place ] || mount -t tmpfs -o ro tmpfs $place || exit 125
  done
  for place in /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list /proc/sched_debug; do
    [ ! -e $place ] || mount --bind /dev/null $place || exit 125
  done
  for place in /proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger; do
    [ ! -e $place ] || { mount --bind $place $place && mount -o remount,bind,ro,nosuid,nodev,noexec $place; } || exit 125
  done
  mount -o remount,bind,ro /sys && mount -o remount,bind,ro /sys/fs/cgroup || exit 125
]]
local REFUSED = "acct add_key clock_settime delete_module finit_module get_mempolicy init_module io_uring_enter "
  .. "io_uring_register io_uring_setup kcmp kexec_load keyctl mbind migrate_pages move_pages open_by_handle_at pidfd_getfd "
  .. "pivot_root process_madvise reboot request_key set_mempolicy settimeofday socket=40 swapoff swapon syslog "
  .. "userfaultfd vhangup personality=0x40000"
local REFUSED_WITHOUT_ADMIN = REFUSED .. " bpf 'clone&0x7e020000' fanotify_init fsconfig fsmount fsopen fspick "
  .. "lookup_dcookie mount mount_setattr move_mount open_tree perf_event_open quotactl setdomainname sethostname setns "
  .. "umount2 unshare"
local CAPS = "-all,+chown,+dac_override,+fsetid,+fowner,+mknod,+net_raw,+setgid,+setuid,+setfcap,+setpcap,"
  .. "+net_bind_service,+sys_chroot,+kill,+audit_write"

--- A container whose filter refuses these calls to a root with these capabilities.
local function docker(refused, caps)
  return ("%s\nexec build/refuse EPERM %s -- %s setpriv --bounding-set=%s --inh-caps=-all \"$@\""):format(MASKED, refused,
    refused == REFUSED and "" or "build/refuse ENOSYS clone3 --", caps)
end

-- What ns makes no namespaces for is all that there is where none can be had: ns.confined().
host { name = "docker", setup = docker(REFUSED_WITHOUT_ADMIN, CAPS), specs = "stdio sandbox confined" }
host { name = "docker, with CAP_SYS_ADMIN", setup = docker(REFUSED, CAPS .. ",+sys_admin"), specs = "stdio sandbox" }
host { name = "read-only /sys", setup = "mount -o remount,bind,ro /sys", long = MOUNTS }

-- ---- older kernels, stricter filters ----

local CALLS = {
  { "close_range", "close_range" }, { "openat2", "openat2", long = "resolve hostile_root" },
  { "clone3", "clone3", never = "EPERM" }, -- as the C library itself cannot start a program then
  { "the mount API", "open_tree move_mount fsopen fsconfig fsmount mount_setattr" },
}
for _, errno in ipairs { "ENOSYS", "EPERM" } do
  local all = ""
  for _, row in ipairs(CALLS) do
    if errno ~= row.never then
      all = all .. " " .. row[2]
      host { name = ("%s: %s"):format(row[1], errno), setup = ('exec build/refuse %s %s -- "$@"'):format(errno, row[2]),
        long = ("%s root mounts %s"):format(BASE, row.long or "") }
    end
  end
  host { name = ("all of these: %s"):format(errno), setup = ('exec build/refuse %s %s -- "$@"'):format(errno, all),
    specs = "sandbox check", long = "run sandbox root mounts check" }
end

-- ---- odd ones ----

host { name = "/proc of another pid namespace", setup = "umount /proc", specs = "check", long = FEW }
host { name = "/proc with subset=pid", setup = "mount -t proc -o subset=pid proc /proc", long = FEW .. " process root" }
host { name = "/proc with hidepid=2", setup = "mount -o remount,hidepid=2 /proc", long = FEW .. " process root" }
host { name = "read-only /proc/sys", setup = "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys",
  long = FEW .. " process root" }
host { name = "/tmp noexec", long = FEW .. " stdio root",
  setup = "mount --bind . /mnt && cd /mnt && mount -t tmpfs -o noexec,mode=1777 tmpfs /tmp" }

-- A FUSE file system of somebody's own answers him alone; one whose server has died answers nobody.
local FUSE = [[perl -e '
  sub put { my ($place, $user) = @_; open my $f, "+<", "/dev/fuse" or die $!; my ($type, $n) = ("fuse", fileno $f);
    my $words = "fd=$n,rootmode=40000,user_id=$user,group_id=$user";
    require "syscall.ph"; syscall(&SYS_mount, $type, $place, $type, 0, $words) == 0 or die $!; $f }
  put("/opt", 0); my $alive = put("/srv", 12345);
  defined(my $pid = fork) or die; exec @ARGV if $pid; sleep 1000' "$@"]]
host { name = "FUSE mounts, one dead, one of somebody else's", setup = FUSE, specs = "sandbox", long = FEW .. " root" }

host { name = "uid 0 without CAP_SETFCAP", setup = 'exec setpriv --bounding-set=-setfcap --inh-caps=-all "$@"',
  users = { "root" }, long = FEW .. " user" }
host { name = "vm.memfd_noexec=2", setup = "echo 2 >/proc/sys/vm/memfd_noexec", long = FEW .. " launcher" }
-- All ids are what they are outside.
local SETGROUPS = [[perl -e '
  require "syscall.ph"; pipe my $a, my $b; pipe my $c, my $d;
  defined(my $pid = fork) or die;
  if (!$pid) { syscall(&SYS_unshare, 0x10000000) == 0 or die $!; syswrite $d, "x"; sysread $a, my $x, 1; exec @ARGV }
  sysread $c, my $x, 1;
  for (["setgroups", "deny"], ["uid_map", "0 0 65536"], ["gid_map", "0 0 65536"]) {
    open my $f, ">", "/proc/$pid/$_->[0]"; syswrite $f, $_->[1] or die $! }
  syswrite $b, "x"; waitpid $pid, 0; exit $? >> 8' "$@"]]
host { name = "setgroups denied", users = { "root" }, long = FEW, setup = SETGROUPS }

-- /etc/subuid and /etc/subgid with these contents
local function subids(line)
  return ([[
    mount -t tmpfs tmpfs /mnt && mkdir /mnt/upper /mnt/work && for f in subuid subgid; do { %s; } >/mnt/upper/$f; done &&
    mount -t overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work overlay /etc]]):format(line)
end
host { name = "no /etc/subuid", setup = subids ":" .. " && rm /etc/subuid /etc/subgid", long = FEW .. " user" }
host { name = "/etc/subuid is full", setup = subids "echo somebody:1:4294967294", long = FEW .. " user" }
host { name = "a hostile /etc/subuid", long = FEW .. " user", setup = subids [[
  printf 'root:4294967295:4294967295\nroot:-1:5\nroot::\n:::\n\0\377\n0:0:4294967296\nroot:100000:99999999999999999999\n'
  head -c 1000000 /dev/zero | tr '\0' x; echo; printf 'nobody:0:65536']] }

-- script(1) never sleeps once its own input has ended: it gets one that does not end.
local SCRIPT = "mkfifo /mnt/input && exec <>/mnt/input && exec script -qec "
host { name = "a shell with job control, in its foreground", long = "run process tty pty interrupt",
  setup = "mount -t tmpfs tmpfs /mnt && " .. SCRIPT .. [["bash -ic '$*'" /dev/null]] }
-- What the shell itself says of its job is no line of the specs.
host { name = "a shell with job control, in its background", long = "run process tty pty interrupt",
  setup = "mount -t tmpfs tmpfs /mnt && " .. SCRIPT ..
    [["bash -ic 'exec 3>&2 2>/dev/null; $* 2>&3 3>&- & wait'" /dev/null]] }

host { name = "strict mode", setup = "export NS_STRICT=1", long = FEW .. " process box error" }
host { name = "Lua 5.5", lua = "lua5.5", needs = "lua5.5" }

return rows
