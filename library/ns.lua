---@meta ns
-- Types for editors (LuaCATS). spec/types_spec.lua compares them with the module, name by name.

---The name of a namespace; "network", "mnt", "CLONE_NEWPID" and the like are taken too.
---@alias ns.Namespace "user"|"mount"|"pid"|"net"|"ipc"|"uts"|"cgroup"|"time"

---An open Lua file, a descriptor, or an object with getfd() or fileno().
---@alias ns.Descriptor file*|integer|table|userdata

---@alias ns.Input "inherit"|"null"|"pipe"|ns.InputFile|ns.Descriptor
---@alias ns.Output "inherit"|"null"|"pipe"|ns.OutputFile|ns.Descriptor

---{inside, outside, count}
---@alias ns.IdRange integer[]

---A number, "TERM", "SIGTERM" or "sigterm".
---@alias ns.Signal integer|string

---A user or group: the number inside, or a name of this machine.
---@alias ns.Id integer|string

---Octal digits in a string, as "0755", or a number, here 493.
---@alias ns.Mode string|integer

---Bytes, or "64k", "64m", "2g", "50%" (of the memory).
---@alias ns.Size integer|string

---"net_bind_service", "CAP_NET_BIND_SERVICE", or "all" alone.
---@alias ns.Capability string

---@alias ns.Securebit
---| "noroot"
---| "noroot_locked"
---| "no_setuid_fixup"
---| "no_setuid_fixup_locked"
---| "keep_caps"
---| "keep_caps_locked"
---| "no_cap_ambient_raise"
---| "no_cap_ambient_raise_locked"

---@alias ns.Persona
---| "addr_no_randomize"
---| "mmap_page_zero"
---| "addr_compat_layout"
---| "read_implies_exec"
---| "addr_limit_32bit"
---| "linux32"
---| "whole_seconds"
---| "sticky_timeouts"
---| "addr_limit_3gb"
---| "uname26"

---@alias ns.Policy "other"|"batch"|"idle"|"fifo"|"rr"

---@alias ns.IoClass "none"|"realtime"|"best-effort"|"idle"

---How the ids of a tree look inside. true: as the map of the user namespace has them. "owner": the owner of the source is
---the program's user. Ranges: {on disk, inside, count}. false: as they are.
---@alias ns.IdMapping boolean|"owner"|ns.IdRange[]

---@class ns.InputFile
---@field path string

---@class ns.OutputFile
---@field path string
---@field append? boolean keep what is there; otherwise the file is emptied

---@class ns.TimeOffsets
---@field monotonic? number seconds, from -1e9 to 1e9
---@field boottime? number seconds, from -1e9 to 1e9

---@class ns.WindowSize
---@field rows? integer 24 where nothing is said
---@field cols? integer 80 where nothing is said

---@class ns.Limit
---@field soft integer|string|"unlimited"
---@field hard integer|string|"unlimited"

---One number stands for both limits. Bytes, seconds or a count, as setrlimit(2) has it. Bytes may be "64k", "64m" or "2g".
---@alias ns.LimitValue integer|string|"unlimited"|ns.Limit

---What is done for a system call; an errno, by name or number, refuses it.
---@alias ns.SeccompAction "allow"|"log"|"kill"|"kill_thread"|"trap"|"trace"|string|integer

---One of: { index, op, value }, with an op of == != < <= > >=; { index, "&", mask, value }. The first argument is 0.
---@alias ns.SeccompTest (integer|string)[]

---The array part has the names of calls. It fits if all tests hold; of several rules the first that fits decides.
---@class ns.SeccompRule
---@field action ns.SeccompAction
---@field arg? ns.SeccompTest[]

---What a filter of system calls says beside the default profile; with `default`, in its place.
---@class ns.Seccomp
---@field default? ns.SeccompAction for all calls that are not named
---@field allow? (string|integer)[]
---@field deny? (string|integer)[] these fail with `errno`
---@field kill? (string|integer)[]
---@field log? (string|integer)[]
---@field errno? string|integer "EPERM" where nothing is said
---@field rules? ns.SeccompRule[] they come before the lists
---@field arch? ("x86"|"x32"|"x86_64"|"aarch64"|"arm"|"riscv64")[] whose programs may run besides
---@field flags? ("tsync"|"log"|"spec_allow")[]
---@field bpf? string ready instructions, in place of all of these but flags
---@field trace? boolean whether the Process and the Result list what was refused; needs `init`

---A system call that a filter has refused.
---@class ns.Denied
---@field name string as "mount"
---@field errno string what it got, as "EPERM"
---@field count integer how often

---Most refused first.
---@class ns.DeniedList
---@field [integer] ns.Denied
---@field more? integer refusals of yet other calls, for which there is no room

---@class ns.Limits
---@field as? ns.LimitValue bytes of address space
---@field core? ns.LimitValue bytes of a core file; 0: no core dump, and no handler of the host
---@field cpu? ns.LimitValue seconds of processor time
---@field data? ns.LimitValue bytes of data
---@field fsize? ns.LimitValue bytes of a file that is written
---@field locks? ns.LimitValue
---@field memlock? ns.LimitValue bytes
---@field msgqueue? ns.LimitValue bytes
---@field nice? ns.LimitValue 20 - the lowest niceness
---@field nofile? ns.LimitValue the highest descriptor, and one
---@field nproc? ns.LimitValue processes of the user
---@field rss? ns.LimitValue without effect
---@field rtprio? ns.LimitValue
---@field rttime? ns.LimitValue microseconds
---@field sigpending? ns.LimitValue
---@field stack? ns.LimitValue bytes

---@class ns.LandlockPath
---@field path string
---@field try? boolean passed over where it is missing

---landlock(7): what a field names is allowed, all else of its kind refused; what no field is about stays as it is.
---@class ns.Landlock
---@field read? (string|ns.LandlockPath)[] files, and all below directories
---@field write? (string|ns.LandlockPath)[] written, made, moved and removed; and read
---@field execute? (string|ns.LandlockPath)[] executed, and read
---@field unix_connect? (string|ns.LandlockPath)[] socket files (Linux 7.1)
---@field tcp_connect? integer[] ports (Linux 6.7)
---@field tcp_bind? integer[] ports (Linux 6.7)
---@field udp_connect? integer[] ports that are sent to (Linux 7.2)
---@field udp_bind? integer[] ports (Linux 7.2)
---@field scope? "signal"|"abstract_unix"|("signal"|"abstract_unix")[] what reaches none but its own processes (Linux 6.12)

---@class ns.Scheduler
---@field policy ns.Policy
---@field priority? integer 1 to 99 for "fifo" and "rr"

---@class ns.Ioprio
---@field class ns.IoClass
---@field level? integer 0 to 7, 0 is the first

---A part of the host's tree, with all that is mounted below it.
---@class ns.Mount.bind
---@field type "bind"
---@field source string|integer an absolute path on the host, or a descriptor
---@field target? string an absolute path inside; the source where nothing is said
---@field ro? boolean read-only, with all that is mounted below it
---@field dev? boolean devices work
---@field suid? boolean set-user-ID programs work
---@field exec? boolean false: no programs
---@field try? boolean passed over when the source is missing
---@field nofollow? boolean a link in the source is refused
---@field idmap? ns.IdMapping
---@field mkdir? boolean|"anywhere" a place that is missing is made, in a layer that is kept, too, or in a tree of the host's

---An empty file system in memory.
---@class ns.Mount.tmpfs
---@field type "tmpfs"
---@field target string
---@field size? ns.Size half of the memory where nothing is said
---@field inodes? integer one for each KiB of size where nothing is said
---@field mode? ns.Mode "0755" where nothing is said, "1777" for .../tmp
---@field ro? boolean
---@field dev? boolean
---@field suid? boolean
---@field exec? boolean
---@field try? boolean passed over where its place is missing and cannot be made
---@field mkdir? boolean|"anywhere" a place that is missing is made, in a layer that is kept, too, or in a tree of the host's

---@class ns.Mount.proc
---@field type "proc"
---@field target? string "/proc" where nothing is said
---@field hidepid? "off"|"noaccess"|"invisible"|"ptraceable"
---@field subset? "pid"
---@field ro? boolean
---@field protect? boolean false: the lists of keys are not hidden, and what belongs to the machine is not guarded
---@field mkdir? boolean|"anywhere" a place that is missing is made, in a layer that is kept, too, or in a tree of the host's

---null, zero, full, random, urandom, tty, pts, shm, the links of the standard streams.
---@class ns.Mount.dev
---@field type "dev"
---@field target? string "/dev" where nothing is said
---@field size? ns.Size of /dev/shm, half of the memory where nothing is said
---@field inodes? integer of /dev/shm
---@field mkdir? boolean|"anywhere" a place that is missing is made, in a layer that is kept, too, or in a tree of the host's

---Needs "net".
---@class ns.Mount.sys
---@field type "sys"
---@field target? string "/sys" where nothing is said
---@field ro? boolean true where nothing is said
---@field mkdir? boolean|"anywhere" a place that is missing is made, in a layer that is kept, too, or in a tree of the host's

---Needs "ipc".
---@class ns.Mount.mqueue
---@field type "mqueue"
---@field target? string "/dev/mqueue" where nothing is said
---@field mkdir? boolean|"anywhere" a place that is missing is made, in a layer that is kept, too, or in a tree of the host's

---A root in layers: what is written goes to upper, or is thrown away.
---@class ns.Layers
---@field lower string|string[] "/", "empty", or absolute paths on the host, the uppermost first
---@field upper? string where changes are kept; it is made if it is missing
---@field work? string a directory of the kernel's beside upper, whose name and ".work" where nothing is said
---@field idmap? ns.IdMapping of the lowers; true for root with map "range"
---@field userxattr? boolean layers are marked by user.*, as those of images are; always in a user namespace

---An empty root.
---@class ns.Empty
---@field tmpfs true
---@field size? integer|string as of a tmpfs
---@field inodes? integer as of a tmpfs
---@field mode? ns.Mode "0755" where nothing is said

---A directory as the root, as it is: what is written in it stays, in its top, too, unless read_only.
---@class ns.Whole
---@field bind string an absolute path on the host
---@field suid? boolean set-user-ID programs in it work

---One or more directories, and what is written above them: thrown away, unless there are upper and work.
---@class ns.Mount.overlay
---@field type "overlay"
---@field lower string|string[] absolute paths on the host, the uppermost first; 500 at the most
---@field target string
---@field upper? string where changes are kept; needs work
---@field work? string an empty directory in the file system of upper
---@field ro? boolean
---@field dev? boolean
---@field suid? boolean
---@field exec? boolean
---@field idmap? ns.IdMapping for one lower that is thrown away
---@field mkdir? boolean|"anywhere" a place that is missing is made, in a layer that is kept, too, or in a tree of the host's

---@class ns.Mount.file
---@field type "file"
---@field target string
---@field data string any bytes
---@field mode? ns.Mode "0644" where nothing is said
---@field ro? boolean where it covers another file; true where nothing is said
---@field mkdir? boolean|"anywhere" a place that is missing is made, in a layer that is kept, too, or in a tree of the host's

---@class ns.Mount.dir
---@field type "dir"
---@field target string
---@field try? boolean passed over where its place is missing and cannot be made
---@field mode? ns.Mode "0755" where nothing is said
---@field mkdir? boolean|"anywhere" a place that is missing is made, in a layer that is kept, too, or in a tree of the host's

---@class ns.Mount.symlink
---@field type "symlink"
---@field target string the link
---@field to string what it says
---@field mkdir? boolean|"anywhere" a place that is missing is made, in a layer that is kept, too, or in a tree of the host's

---New attributes for a mount that is there; what is not said stays.
---@class ns.Mount.remount
---@field type "remount"
---@field target string
---@field ro? boolean
---@field dev? boolean
---@field suid? boolean
---@field exec? boolean
---@field recursive? boolean with all that is mounted below it

---Hidden under an empty file or directory; a path that is missing is passed over.
---@class ns.Mount.mask
---@field type "mask"
---@field target string

---What is there, read-only; a path that is missing is passed over.
---@class ns.Mount.readonly
---@field type "readonly"
---@field target string

---@class ns.Mount.propagation
---@field type "propagation"
---@field target string
---@field mode "private"|"slave"|"shared"|"unbindable"
---@field recursive? boolean

---@alias ns.Mount
---| ns.Mount.bind
---| ns.Mount.tmpfs
---| ns.Mount.proc
---| ns.Mount.dev
---| ns.Mount.sys
---| ns.Mount.mqueue
---| ns.Mount.overlay
---| ns.Mount.file
---| ns.Mount.dir
---| ns.Mount.symlink
---| ns.Mount.remount
---| ns.Mount.mask
---| ns.Mount.readonly
---| ns.Mount.propagation

---What to run, and in which surroundings. The array part is the program and its arguments. Read without metamethods.
---{net = "/run/netns/blue"}, by path, file or descriptor; {from = process, "net", "pid"}, by who has them: all that differ
---from the host's where no names stand.
---@class ns.Join
---@field from? integer|ns.Process|ns.Container
---@field user? string|ns.Descriptor
---@field mount? string|ns.Descriptor
---@field pid? string|ns.Descriptor
---@field net? string|ns.Descriptor
---@field ipc? string|ns.Descriptor
---@field uts? string|ns.Descriptor
---@field cgroup? string|ns.Descriptor
---@field time? string|ns.Descriptor
---@field [integer] ns.Namespace

---Bytes and operations a second.
---@class ns.DiskLimits
---@field read? integer|string
---@field write? integer|string
---@field read_ops? integer|"max"
---@field write_ops? integer|"max"

---Of a program and all that it starts together.
---@class ns.GroupLimits
---@field memory? integer|string bytes, "256m", "50%" or "max"
---@field memory_high? integer|string
---@field swap? integer|string none beside memory, where nothing is said
---@field pids? integer|string
---@field cpu? number|string processors, as 1.5, "50%" or "max"
---@field cpu_weight? integer 1 to 10000
---@field cpuset? integer|integer[]|string
---@field io? table<string, ns.DiskLimits> by disk: "/dev/sda"
---@field parent? string the control group below which its own is made

---@alias ns.NetworkWord "none"|"host"|"pasta"

---@class ns.Interface
---@field type? "dummy"|"bridge"|"veth" "dummy" where nothing is said
---@field addresses? string|string[] "10.0.0.1/24"
---@field mtu? integer the longest packet
---@field mac? string "02:00:00:00:00:01"
---@field peer? string of a veth: the name of its other end
---@field bridge? string that it is a port of
---@field up? boolean false: it is switched off

---@class ns.Route
---@field to? string "10.1.0.0/16"; "default" where nothing is said beside via
---@field via? string the address of the next one
---@field interface? string over which
---@field type? "unicast"|"unreachable"|"blackhole"|"prohibit"

---A list of up to three addresses.
---@class ns.Dns: { [integer]: string }
---@field search? string[] domains
---@field options? string[] "ndots:2"

---The network of a box; the word itself stands first.
---@class ns.BoxNetwork: { [1]: ns.NetworkWord }
---@field interfaces? table<string, ns.Interface> by name
---@field routes? ns.Route[]
---@field sysctl? table<string, string|number>
---@field hosts? table<string, string|string[]> by name, the address or the addresses
---@field dns? string|ns.Dns

---@class ns.Spec
---@field [integer] string the program and its arguments, unless argv says them
---@field argv? string[] the program and its arguments; a program without a slash is looked up in PATH
---@field argv0? string what the program sees as its own name
---@field fn? fun(...: any) a function in the place of a program: it runs in a copy of this Lua state
---@field args? any[] what fn is called with; n is how many
---@field flags? ns.Namespace[]|string|integer new namespaces: a list of names, "uts,ipc", or ns.CLONE_NEWUTS + ...
---@field optional? string|string[] words, and parts of them, that may be left out: "flags.time", "landlock.scope"
---@field detach? boolean the program outlives its handle and the host
---@field timeout? number seconds, counted from the start; then the program is stopped
---@field input? string what run and communicate feed to stdin
---@field grace? number seconds between SIGTERM and SIGKILL, 2 where nothing is said
---@field max_output? integer bytes of each output that are kept; the rest is read and dropped
---@field map? "root"|"self"|"auto"|"range" ids in the new user namespace, "range" if nothing is said; needs "user"
---@field uid_map? ns.IdRange[] needs "user"
---@field gid_map? ns.IdRange[] needs "user"
---@field setgroups? "allow"|"deny" needs "user"
---@field user? ns.Id who the program is
---@field group? ns.Id the user's own where nothing is said
---@field groups? ns.Id[] the further groups; none beside user or group where nothing is said
---@field caps? ns.Capability[] the capabilities it has; all others are dropped from every set
---@field securebits? ns.Securebit|ns.Securebit[]
---@field no_new_privs? boolean no program gets more rights by exec
---@field seccomp? "default"|false|ns.Seccomp which system calls it may make
---@field join? ns.Join namespaces of others that it enters
---@field landlock? ns.Landlock which files, ports and processes it may reach
---@field disable_userns? boolean no further user namespaces inside; needs "user"
---@field sysctl? table<string, string|number> settings of its network, as {["net.ipv4.ip_forward"] = 1}; needs "net"
---@field rlimits? ns.Limits
---@field limits? ns.GroupLimits what the program and all that it starts may have together
---@field nice? integer -20 to 19
---@field ioprio? ns.IoClass|ns.Ioprio
---@field scheduler? ns.Policy|ns.Scheduler
---@field affinity? integer|integer[] numbers of processors
---@field oom_score_adj? integer -1000 to 1000
---@field network? ns.NetworkWord|ns.BoxNetwork what it has for a network
---@field publish? table<integer|string, integer|string> the host's port, or "ADDRESS:PORT" = that of the box
---@field reach? table<integer|string, string> "NAME:PORT", or what is dialled = where that leads
---@field reachable? boolean p:connect leads to its servers: it has an init
---@field personality? ns.Persona|ns.Persona[]
---@field keyring? "own"|"inherit" the session keyring; "own" where nothing is said
---@field root? "/"|"empty"|string|ns.Layers|ns.Whole|ns.Empty a root of its own; needs "mount"
---@field system? boolean /usr, /etc, /bin, /sbin and /lib* of the host in that root; needs "mount"
---@field read_only? boolean the root is read-only, true where nothing is said; needs root or system
---@field mounts? ns.Mount[] in this order; needs "mount"
---@field propagation? "private"|"slave" of the mounts that are there; "private" where nothing is said; needs "mount"
---@field init? boolean a small init stays above the program, and ends all that it has started
---@field pty? boolean|ns.WindowSize a terminal of its own
---@field session? boolean a session of its own: setsid(2)
---@field time? ns.TimeOffsets shifted clocks; needs "time"
---@field mount_proc? boolean|string a new /proc, or one at this place; needs "pid" and "mount"
---@field hostname? string 1 to 64 bytes; needs "uts"
---@field domainname? string 1 to 64 bytes; needs "uts"
---@field stdin? ns.Input|string for ns.run, any other string is fed to the program
---@field stdout? ns.Output
---@field stderr? ns.Output|"stdout"
---@field fds? table<integer, ns.Descriptor> further descriptors: number inside (3 and up) to the host's
---@field tty? boolean stdin is a terminal, and the program gets its foreground
---@field forward_signals? boolean|string[] while the host waits, TERM, INT and HUP, or these, go to the program
---@field umask? ns.Mode up to "0777"
---@field cwd? string
---@field env? table<string, string|false> changes to the environment; false removes a variable
---@field clear_env? boolean start from an empty environment

---Where a refusal came from.
---@class ns.Detail
---@field step string the step that was refused: "mount", "exec", "clone", ...
---@field path? string
---@field word? string the word of the spec that asked for the step
---@field part? string the part of that word: the name of the limit, the field of landlock
---@field errno? integer
---@field code string "EPERM"
---@field hint? string the cause and the remedy, where they can be found out

---What a start has gone on without: by the word optional, or of root = "/".
---@class ns.LeftOut
---@field what string as in optional, or the path of what could not be reached
---@field why string
---@field errno? integer nil of what needs something that was refused
---@field code? string
---@field hint? string
---@field path? string

---Why a call has not returned; without `how` it was not started, and the rest is there.
---@class ns.CallDetail: ns.Detail
---@field how? "error"|"exit"|"signal"|"timeout"|"truncated"|"lost"
---@field traceback? string of an "error"
---@field value? any what was raised, if it is a plain value
---@field status? integer of an "exit"
---@field signal? integer of a "signal"
---@field signame? string
---@field result? ns.Result times and usage

---Who a program is on the host.
---@class ns.Ids
---@field uid integer
---@field gid integer
---@field uid_map? ns.IdRange[] where it has a user namespace
---@field gid_map? ns.IdRange[]

---What all processes of a control group have used together (`limits`), as far as this kernel counts that.
---@class ns.GroupUsage
---@field memory_peak? integer bytes
---@field cpu? number seconds
---@field throttled? number seconds for which the limit of cpu has held it back
---@field pids_peak? integer
---@field pids_refused? integer how often one more process was refused
---@field oom? boolean of a container: has its memory run out?

---What a program has used: getrusage(2).
---@class ns.Usage: ns.GroupUsage
---@field utime number seconds
---@field stime number seconds
---@field maxrss number KiB; without an init never less than the host itself has had
---@field minflt number
---@field majflt number
---@field inblock number
---@field oublock number
---@field nvcsw number
---@field nivcsw number

---@class ns.Change
---@field path string as the program calls it
---@field kind "added"|"changed"|"removed"
---@field type "file"|"directory"|"link"|"device"|"pipe"|"socket"
---@field size integer bytes of a file
---@field mode? string as "0755"; nil for a link
---@field old_mode? string of what is "changed": the mode before

---What has changed in a layer. In a loop: the path, the kind, the size and the type of each change.
---@class ns.Changes
---@overload fun(state: any, path: string?): string?, "added"|"changed"|"removed", integer, string
local Changes = {}

---The changes, in the order of their paths.
---@return ns.Change[]? list
---@return string? message
---@return integer? errno
function Changes:list() end

---Files as `diff -u` compares them; of all else, and of a changed mode, one line.
---@return string? text
---@return string? message
---@return integer? errno
function Changes:diff() end

---Makes the changes in a directory.
---@param target string
---@return true? ok
---@return string? message
---@return integer? errno
function Changes:commit(target) end

---Throws the changes away.
---@return true? ok
---@return string? message
---@return integer? errno
function Changes:discard() end

---What a run has come to.
---@class ns.Result
---@field argv? string[] what was run
---@field ok? true nil unless the program ended with exit status 0, and in time
---@field how "exit"|"signal"|"refused" refused: by ns.parallel, which could not start it
---@field message? string of what was refused
---@field errno? integer of what was refused
---@field detail? ns.Detail of what was refused
---@field code? integer exit status, when it ended by exit
---@field signal? integer signal number, when a signal ended it
---@field signame? string "KILL"
---@field stdout? string nil where it was no pipe
---@field stderr? string nil where it was no pipe
---@field truncated? boolean an output was longer than max_output, or a child that was left behind had its pipe open still
---@field timed_out boolean the timeout of the spec has ended it
---@field ended_by? "memory"|"timeout"|"exit"|"signal" what has ended it
---@field oom boolean the kernel has killed it, or a part of it, for want of memory: told with limits
---@field wall number seconds from the start until the end was seen
---@field usage? ns.Usage
---@field left_out ns.LeftOut[]
---@field denied? ns.DeniedList system calls that its filter has refused: with `seccomp = { trace = true }`
local Result = {}

---What it has changed in its layers.
---@return ns.Changes? changes
---@return string? message
---@return integer? errno
function Result:changes() end

---A program that was started. Closing or dropping it ends the program, unless it is detached.
---@class ns.Process
---@field argv? string[] what was started
---@field pid integer
---@field stdin? file* where the spec says "pipe"
---@field stdout? file* where the spec says "pipe"
---@field stderr? file* where the spec says "pipe"
---@field pty? ns.Pty where the spec says so
---@field wall? number seconds from the start until the end was seen, once it was
---@field timed_out boolean the timeout of the spec has stopped it
---@field oom boolean once it has ended: the kernel has killed for want of memory; told with limits
---@field left_out ns.LeftOut[]
---@field published? table<integer|string, integer> by the box's port or address, or a key that ends in ":0": the host's port
local Process = {}

---Waits for the end, `seconds` at the most. May be called again.
---@param seconds? number
---@return true|nil ok
---@return "exit"|"signal"|"timeout"|string how
---@return integer? code exit status or signal number
function Process:wait(seconds) end

---Sends a signal to the program: "TERM" if nothing is said.
---@param signal? ns.Signal
---@return true|nil ok
---@return string? message
---@return integer? errno
function Process:kill(signal) end

---Sends SIGTERM; after `grace` seconds (2) SIGKILL, to the program and all it has started.
---@param grace? number
---@return true|nil ok
---@return "exit"|"signal"|string how
---@return integer? code
function Process:stop(grace) end

---Ends the program if it runs (SIGKILL), reaps it, closes its files. May be called again.
---@return true|nil ok nil where something of it lives on
---@return string? message with its pid
---@return integer? errno
function Process:close() end

---Sets the size of the window of the program's own terminal.
---@param rows integer
---@param cols integer
---@return true|nil ok
---@return string? message
---@return integer? errno
function Process:resize(rows, cols) end

---What the program has used, once it has ended.
---@return ns.Usage?
function Process:usage() end

---Which system calls its filter has refused, while it runs, too: with `seccomp = { trace = true }`.
---@return ns.DeniedList?
function Process:denied() end

---What has changed so far in the layers that are written to.
---@return ns.Changes? changes
---@return string? message
---@return integer? errno
function Process:changes() end

---Who it is on the host.
---@return ns.Ids
function Process:ids() end

---Mounts one of its namespaces on a file, which is made if it is missing; umount and rm take it away.
---@param kind ns.Namespace
---@param path string
---@return true|nil ok
---@return string? message
---@return integer? errno
function Process:persist(kind, path) end

---Feeds `input`, reads both outputs to their ends, waits, closes.
---@param input? string
---@return ns.Result? result
---@return string? message
---@return integer? errno
function Process:communicate(input) end

---For socket.select and uv.new_poll: readable when the program has ended, and when something is due for `wait(0)`.
---@return integer? fd
---@return string? message
---@return integer? errno
function Process:getfd() end

---For socket.select: is the end known already?
---@return boolean
function Process:dirty() end

---For cqueues.poll.
---@return integer
function Process:pollfd() end

---For cqueues.poll.
---@return "r"
function Process:events() end

---Seconds until something is due, which `wait(0)` then sees to. cqueues asks for it by itself.
---@return number? seconds
function Process:timeout() end

---Begins what `stop` does, and does not wait.
---@param grace? number
---@return true
function Process:terminate(grace) end

---A stream for an event loop; nil where there is no pipe of that name.
---@param name "stdin"|"stdout"|"stderr"|"pty"
---@return ns.Stream?
function Process:stream(name) end

---Connects your terminal to the program's own until the program ends.
---@return true|nil ok
---@return string how
---@return integer code
function Process:interact() end

---Connects to a server in its network, as if from there. It needs an init, as by `reachable`.
---@param server integer|string a port; "ADDRESS:PORT"; in a container a path, or "@NAME"
---@param seconds? number
---@return ns.Connection? connection
---@return string? message
---@return integer? errno
function Process:connect(server, seconds) end

---Waits until a server in its network takes connections.
---@param server integer|string as for connect
---@param seconds? number
---@return true|nil ok
---@return string? message "timeout", or why
---@return integer? errno
function Process:wait_for(server, seconds) end

---A connection to a server in a box.
---@class ns.Connection
local Connection = {}

---How long a read or a write may take; then it returns nil, "timeout", errno.
---@param seconds? number without it: as long as it takes
---@return ns.Connection self
function Connection:settimeout(seconds) end

---As file:write, without a buffer.
---@param ... string|number
---@return ns.Connection? self
---@return string? message
---@return integer? errno
function Connection:write(...) end

---As file:read; nil when the server has closed its side.
---@param ... string|integer
---@return string|number|nil
function Connection:read(...) end

---As file:lines.
---@return fun(): string?
function Connection:lines() end

---Nothing more will be written.
---@return true|nil ok
---@return string? message
---@return integer? errno
function Connection:shutdown() end

---Its descriptor, which stays its own.
---@return integer fd
function Connection:getfd() end

---For LuaSocket's select.
---@return boolean
function Connection:dirty() end

---Gives its descriptor away, which does not block; the connection is closed.
---@return integer? fd
---@return string? message
---@return integer? errno
function Connection:detach() end

---Closes it. May be called again.
---@return true
function Connection:close() end

---A stream of a process, for event loops.
---@class ns.Stream
local Stream = {}

---What is there now: "" if nothing is, nil at the end.
---@return string?
---@return string? message
---@return integer? errno
function Stream:read() end

---Writes what there is room for now.
---@param bytes string
---@return integer? taken
---@return string? message
---@return integer? errno
function Stream:write(bytes) end

---For luv's new_poll, and for LuaSocket's select.
---@return integer fd
function Stream:getfd() end

---For LuaSocket's select.
---@return boolean
function Stream:dirty() end

---For cqueues.poll.
---@return integer fd
function Stream:pollfd() end

---For cqueues.poll.
---@return "r"|"w"
function Stream:events() end

---For cqueues.poll: as that of its process.
---@return number?
function Stream:timeout() end

---Closes it, and the Lua file.
function Stream:close() end

---The host's side of a program's own terminal.
---@class ns.Pty
local Pty = {}

---Types: as file:write.
---@param ... string|number
---@return file*|true|nil ok
---@return string? message
---@return integer? errno
function Pty:write(...) end

---What the program shows: as file:read. nil at its end.
---@param ... string|integer
---@return string|number|nil
function Pty:read(...) end

---The lines that the program shows: as file:lines.
---@return fun(): string?
function Pty:lines() end

---As Process:resize.
---@param rows integer
---@param cols integer
---@return true|nil ok
---@return string? message
---@return integer? errno
function Pty:resize(rows, cols) end

---Hangs up.
function Pty:close() end

---A spec that is put together word by word. Each word of ns.Spec is a method, and returns the box.
---@class ns.Box
---@field argv0 fun(self: ns.Box, value: string): ns.Box
---@field fn fun(self: ns.Box, value: fun(...: any)): ns.Box
---@field args fun(self: ns.Box, value: any[]): ns.Box
---@field flags fun(self: ns.Box, value: ns.Namespace[]|string|integer): ns.Box
---@field detach fun(self: ns.Box, value?: boolean): ns.Box
---@field timeout fun(self: ns.Box, value: number): ns.Box
---@field input fun(self: ns.Box, value: string): ns.Box
---@field grace fun(self: ns.Box, value: number): ns.Box
---@field max_output fun(self: ns.Box, value: integer): ns.Box
---@field map fun(self: ns.Box, value: "root"|"self"|"auto"|"range"): ns.Box
---@field uid_map fun(self: ns.Box, value: ns.IdRange[]): ns.Box
---@field gid_map fun(self: ns.Box, value: ns.IdRange[]): ns.Box
---@field setgroups fun(self: ns.Box, value: "allow"|"deny"): ns.Box
---@field user fun(self: ns.Box, value: ns.Id): ns.Box
---@field group fun(self: ns.Box, value: ns.Id): ns.Box
---@field groups fun(self: ns.Box, value: ns.Id[]): ns.Box
---@field caps fun(self: ns.Box, value: ns.Capability[]): ns.Box
---@field securebits fun(self: ns.Box, value: ns.Securebit|ns.Securebit[]): ns.Box
---@field no_new_privs fun(self: ns.Box, value?: boolean): ns.Box
---@field landlock fun(self: ns.Box, value: ns.Landlock|table<string, false>): ns.Box sets fields; false takes one away
---@field seccomp fun(self: ns.Box, value: "default"|false|ns.Seccomp): ns.Box
---@field optional fun(self: ns.Box, value: string|string[]): ns.Box
---@field join fun(self: ns.Box, value: ns.Join): ns.Box
---@field disable_userns fun(self: ns.Box, value?: boolean): ns.Box
---@field sysctl fun(self: ns.Box, value: table<string, string|number>): ns.Box
---@field limits fun(self: ns.Box, value: ns.GroupLimits): ns.Box
---@field rlimits fun(self: ns.Box, value: ns.Limits|table<string, false>): ns.Box adds by name; false takes one away
---@field nice fun(self: ns.Box, value: integer): ns.Box
---@field ioprio fun(self: ns.Box, value: ns.IoClass|ns.Ioprio): ns.Box
---@field scheduler fun(self: ns.Box, value: ns.Policy|ns.Scheduler): ns.Box
---@field affinity fun(self: ns.Box, value: integer|integer[]): ns.Box
---@field oom_score_adj fun(self: ns.Box, value: integer): ns.Box
---@field network fun(self: ns.Box, value: ns.NetworkWord|ns.BoxNetwork): ns.Box
---@field publish fun(self: ns.Box, value: table<integer|string, integer|string>): ns.Box
---@field reach fun(self: ns.Box, value: table<integer|string, string>): ns.Box
---@field reachable fun(self: ns.Box, value?: boolean): ns.Box
---@field personality fun(self: ns.Box, value: ns.Persona|ns.Persona[]): ns.Box
---@field keyring fun(self: ns.Box, value: "own"|"inherit"): ns.Box
---@field root fun(self: ns.Box, value: "/"|"empty"|string|ns.Layers|ns.Whole|ns.Empty): ns.Box
---@field system fun(self: ns.Box, value?: boolean): ns.Box
---@field read_only fun(self: ns.Box, value?: boolean): ns.Box
---@field mounts fun(self: ns.Box, value: ns.Mount[]): ns.Box
---@field propagation fun(self: ns.Box, value: "private"|"slave"): ns.Box
---@field init fun(self: ns.Box, value?: boolean): ns.Box
---@field pty fun(self: ns.Box, value?: boolean|ns.WindowSize): ns.Box
---@field session fun(self: ns.Box, value?: boolean): ns.Box
---@field time fun(self: ns.Box, value: ns.TimeOffsets): ns.Box
---@field mount_proc fun(self: ns.Box, value?: boolean|string): ns.Box
---@field hostname fun(self: ns.Box, value: string): ns.Box
---@field domainname fun(self: ns.Box, value: string): ns.Box
---@field stdin fun(self: ns.Box, value: ns.Input): ns.Box
---@field stdout fun(self: ns.Box, value: ns.Output): ns.Box
---@field stderr fun(self: ns.Box, value: ns.Output|"stdout"): ns.Box
---@field fds fun(self: ns.Box, value: table<integer, ns.Descriptor>): ns.Box
---@field tty fun(self: ns.Box, value?: boolean): ns.Box
---@field forward_signals fun(self: ns.Box, value?: boolean|string[]): ns.Box
---@field umask fun(self: ns.Box, value: ns.Mode): ns.Box
---@field cwd fun(self: ns.Box, value: string): ns.Box
---@field clear_env fun(self: ns.Box, value?: boolean): ns.Box
local Box = {}

---Adds namespaces to those that are there.
---@param ... ns.Namespace
---@return ns.Box
function Box:unshare(...) end

---Takes namespaces away again, and what only they can have: hostname, time, the mount of /proc.
---@param ... ns.Namespace
---@return ns.Box
function Box:share(...) end

---Binds a part of the host's tree, writable. The options are further fields of ns.Mount.bind.
---@param source string|integer
---@param target? string|table the source where nothing is said
---@param options? table
---@return ns.Box
function Box:bind(source, target, options) end

---Binds a part of the host's tree, read-only with all that is mounted below it.
---@param source string|integer
---@param target? string|table the source where nothing is said
---@param options? table
---@return ns.Box
function Box:ro_bind(source, target, options) end

---A file with these bytes. The options are further fields of ns.Mount.file.
---@param target string
---@param data string
---@param options? table
---@return ns.Box
function Box:file(target, data, options) end

---A symbolic link.
---@param target string
---@param to string
---@param options? table
---@return ns.Box
function Box:symlink(target, to, options) end

---An overlay. The options are further fields of ns.Mount.overlay.
---@param lower string|string[]
---@param target? string|table a single lower where nothing is said
---@param options? table
---@return ns.Box
function Box:overlay(lower, target, options) end

---One writable layer over the whole root, thrown away or kept in a directory.
---@param directory? string for two directories, upper and work; it is made if it is missing
---@return ns.Box
function Box:upper(directory) end

---Hides paths.
---@param ... string
---@return ns.Box
function Box:mask(...) end

---Writes the box as a bundle, which crun and runc run to the same result.
---@param directory string which is made, if it is missing
---@param ... string|table a program and its arguments; or one table of words
---@return true? ok
---@return ns.OciLeft[]|string left what it cannot carry
---@return integer? errno
function Box:bundle(directory, ...) end

---Makes what is there read-only.
---@param ... string
---@return ns.Box
function Box:readonly(...) end

---Takes away again what the box mounts there.
---@param ... string
---@return ns.Box
function Box:unmount(...) end

---An empty file system in memory. The options are further fields of ns.Mount.tmpfs.
---@param target string
---@param options? table
---@return ns.Box
function Box:tmpfs(target, options) end

---A directory. The options are further fields of ns.Mount.dir.
---@param target string
---@param options? table
---@return ns.Box
function Box:dir(target, options) end

---New attributes for a mount that is there. The options are further fields of ns.Mount.remount.
---@param target string
---@param options? table
---@return ns.Box
function Box:remount(target, options) end

---A new /proc. The options are further fields of ns.Mount.proc.
---@param target? string|table
---@param options? table
---@return ns.Box
function Box:proc(target, options) end

---A small /dev. The options are further fields of ns.Mount.dev.
---@param target? string|table
---@param options? table
---@return ns.Box
function Box:dev(target, options) end

---A new /sys. The options are further fields of ns.Mount.sys.
---@param target? string|table
---@param options? table
---@return ns.Box
function Box:sys(target, options) end

---The POSIX message queues. The options are further fields of ns.Mount.mqueue.
---@param target? string|table
---@param options? table
---@return ns.Box
function Box:mqueue(target, options) end

---Adds a variable, or several: box:env{LANG = "C"}. false removes one.
---@param name string|table<string, string|false>
---@param value? string|false which must be there with a name
---@return ns.Box
function Box:env(name, value) end

---The program and its arguments, as a list or one by one.
---@param first string|string[]
---@param ... string
---@return ns.Box
function Box:argv(first, ...) end

---An independent copy.
---@return ns.Box
function Box:clone() end

---The box as a plain spec.
---@return ns.Spec
function Box:spec() end

---Tries whether it would start here: as ns.check.
---@param ... string|ns.Program
---@return true|nil ok
---@return string|ns.LeftOut[]|nil message or, after true, what is left out
---@return integer? errno
---@return ns.Detail? detail
function Box:check(...) end

---The steps, in words: as ns.explain.
---@param ... string|ns.Program
---@return string? text
---@return string? message
---@return integer? errno
---@return ns.Detail? detail
function Box:explain(...) end

---Starts the program given here, or that of the box: as ns.spawn.
---@param ... string|ns.Program
---@return ns.Process? process
---@return string? message
---@return integer? errno
---@return ns.Detail? detail
function Box:spawn(...) end

---Runs the program given here, or that of the box, to its end: as ns.run.
---@param ... string|ns.Program
---@return ns.Result? result
---@return string? message
---@return integer? errno
---@return ns.Detail? detail
function Box:run(...) end

---Calls a function in the box: as ns.call.
---@param fn fun(...: any): ...
---@param ... any
---@return true|nil ok
---@return any ... its results; or a message, errno and a ns.CallDetail
function Box:call(fn, ...) end

---Starts the box itself: a container, in which programs run one after the other, or at once.
---@param ... string|ns.Started
---@return ns.Container? container
---@return string? message
---@return integer? errno
---@return ns.Detail? detail
function Box:start(...) end

---Starts boxes in advance, each for one program.
---@param size integer
---@return ns.Pool
function Box:pool(size) end

---The manifest of a Kubernetes Pod, in YAML, and what it does not carry.
---@param options { image: string, name: string?, namespace: string?, restart: "Never"|"OnFailure"|"Always"|nil }
---@return string manifest
---@return { what: string, why: string }[] missing
function Box:pod(options) end

---The words in which a program of a container may differ from it; the array part is its argv. `user`, `group` and `groups`
---too, where the box has a `user` that is not 0.
---@class ns.Program : ns.Spec

---What a container is started with: its program, if it has one, and what it is itself.
---@class ns.Started : ns.Program
---@field name? string it outlives you, and ns.container finds it
---@field stay? boolean it stays when its program ends

---What a container is.
---@class ns.ContainerInfo
---@field name? string
---@field pid integer
---@field started? number seconds, as of os.time; of one with a name
---@field argv? string[] its program; of one with a name
---@field stay boolean
---@field spec ns.Spec
---@field ids table
---@field namespaces? ns.NamespaceInfo[]

---What lives in a container.
---@class ns.Inside
---@field pid integer its number on the host
---@field inside integer? its number in the container
---@field ppid integer the number of its parent on the host
---@field argv string[]
---@field process ns.Process? the program that it belongs to; nil for what one has left behind

---A living box.
---@class ns.Container
---@field main? ns.Process
---@field left_out ns.LeftOut[]
---@field published? table<integer|string, integer> by the box's port or address, or a key that ends in ":0": the host's port
local Container = {}

---Starts a program in the container.
---@param ... string|ns.Program
---@return ns.Process? process
---@return string? message
---@return integer? errno
---@return ns.Detail? detail
function Container:spawn(...) end

---Connects to a server in it.
---@param server integer|string a port; "ADDRESS:PORT"; the path of a socket; "@NAME"
---@param seconds? number
---@return ns.Connection? connection
---@return string? message
---@return integer? errno
function Container:connect(server, seconds) end

---Waits until a server in it takes connections.
---@param server integer|string as for connect
---@param seconds? number
---@return true|nil ok
---@return string? message "timeout", or why
---@return integer? errno
function Container:wait_for(server, seconds) end

---Runs a program in the container to its end and collects what it writes.
---@param ... string|ns.Program
---@return ns.Result? result
---@return string? message
---@return integer? errno
---@return ns.Detail? detail
function Container:run(...) end

---A shell at your terminal, until it ends.
---@param ... string
---@return true|nil ok
---@return "exit"|"signal"|string how
---@return integer? code
function Container:shell(...) end

---What has changed so far in the layers that are written to.
---@return ns.Changes? changes
---@return string? message
---@return integer? errno
function Container:changes() end

---What lives inside.
---@return ns.Inside[]? list
---@return string? message
---@return integer? errno
function Container:processes() end

---Changes limits while it lives; it must have been started with some.
---@param wanted ns.GroupLimits
---@return true? ok
---@return string? message
---@return integer? errno
---@return ns.Detail? detail
function Container:limits(wanted) end

---What all that is and was in it have used together; nil without limits.
---@return ns.GroupUsage? usage
function Container:usage() end

---Waits for its end.
---@param seconds? number
---@return true|nil ok
---@return "exit"|"signal"|"timeout"|string how
---@return integer? code
function Container:wait(seconds) end

---Sends a signal to all that is inside.
---@param signal? ns.Signal
---@return true|nil ok
---@return string? message
---@return integer? errno
function Container:kill(signal) end

---Ends it: SIGTERM to all, then, after the grace, the end; it can still be waited for.
---@param grace? number
---@return true|nil ok
---@return "exit"|"signal"|"timeout"|string how
---@return integer? code
function Container:stop(grace) end

---Ends it at once.
---@return true ok
function Container:close() end

---What the program of one with a name has written: the last 64 KiB, or the end of the file that it goes into.
---@return string? text
---@return string? message
---@return integer? errno
function Container:logs() end

---What it is.
---@return ns.ContainerInfo
function Container:info() end

---The pidfd of its init.
---@return integer? fd
---@return string? message
---@return integer? errno
function Container:getfd() end

---Who its programs are on the host.
---@return table
function Container:ids() end

---Mounts one of its namespaces on a file, which is made if it is missing; umount and rm take it away.
---@param kind ns.Namespace
---@param path string
---@return true|nil ok
---@return string? message
---@return integer? errno
function Container:persist(kind, path) end

---Boxes that wait for one program each.
---@class ns.Pool
local Pool = {}

---Starts a program in a box that is ready, which ends with it.
---@param ... string|ns.Program
---@return ns.Process? process
---@return string? message
---@return integer? errno
---@return ns.Detail? detail
function Pool:spawn(...) end

---Runs a program in a box that is ready, which ends with it.
---@param ... string|ns.Program
---@return ns.Result? result
---@return string? message
---@return integer? errno
---@return ns.Detail? detail
function Pool:run(...) end

---Launches what is missing; how many are ready.
---@return integer
function Pool:fill() end

---Readable when there is something for `fill` to hear.
---@return integer?
function Pool:getfd() end

---@return { size: integer, ready: integer, launched: integer, warm: integer, cold: integer, failed: integer }
function Pool:stats() end

---Ends all boxes that wait.
---@return true ok
function Pool:close() end

---What no word of a spec can carry of a bundle. `weakens`: the program would have more rights than that says, or lack what
---it needs.
---@class ns.OciLeft
---@field field string as in config.json, numbers from 1
---@field why string
---@field weakens boolean

---Bundles of containers.
---@class ns.Oci
---@field spec fun(bundle: string): ns.Spec?, ns.OciLeft[]|string, integer? the words of a bundle, and what they leave out

---Test programs without busted: files and functions, each in a copy of this Lua state; what they come to is written as TAP.
---@class ns.Test
---@field run fun(words: ns.Tests): boolean, ns.Result[] have all been good? And the results, in order

---Paths of Lua files and functions, in the array part; or functions by name.
---@class ns.Tests
---@field [integer] string|fun()
---@field jobs? integer how many at a time
---@field timeout? number seconds for each, 60 where nothing is said
---@field max_output? integer the bytes that are kept of each output, 256 MiB where nothing is said
---@field net? "own"|"host"
---@field tmp? "own"|"host"|string or how large it is, as "64m"
---@field ipc? "own"|"host"
---@field pid? "own"|"host"
---@field hostname? "own"|"host"
---@field tree? "host"|"private"|"read" the working directory
---@field leaks? "error"|"warn"|"ignore" processes that are left
---@field descriptors? "error"|"warn"|"ignore" descriptors that are left
---@field limits? table for each test, as the word of a spec
---@field spec? ns.Spec other surroundings, in the place of these
---@field output? file* in the place of io.stdout

---Bytes of an archive that have been read, of how many, its layer, of how many.
---@alias ns.Progress fun(bytes: integer, total: integer, layer: integer, layers: integer?)

---A list's programs on the machines of a Slurm cluster.
---@class ns.Slurm
---Results in the order of the list, and by node the items that were lost there; or nil, message, errno.
---@field parallel fun(list: any[], runner: ns.Spec|ns.Box, options?: ns.SlurmOptions): ns.SlurmResult[]?, table|string

---@class ns.SlurmOptions
---@field jobs? integer how many tasks at a time; all that the cluster has room for where nothing is said
---@field per_task? integer how many items one task runs, one after the other
---@field retries? integer how often an item is run again whose node has failed while it ran, 0 where nothing is said
---@field timeout? number seconds for each item, where its words say nothing
---@field partition? string
---@field account? string
---@field qos? string
---@field constraint? string
---@field reservation? string
---@field nodelist? string
---@field exclude? string
---@field cpus? integer for each task
---@field memory? string for each task, as sbatch's --mem
---@field time? number seconds for each task, after which Slurm ends it
---@field sbatch? string[] further options of sbatch
---@field name? string what the names of its jobs begin with, "ns" where nothing is said
---@field folder? string a directory that all nodes see, in the place of the working directory
---@field lua? string the interpreter on the nodes

---What a run on a cluster has come to.
---@class ns.SlurmResult : ns.Result
---@field how "exit"|"signal"|"refused"|"lost" lost: it had begun, and its end was not seen
---@field ended_by? "memory"|"timeout"|"exit"|"signal"|"cancel"|"node" what has ended it
---@field node? string where it ran
---@field job? string the job and its task, "17_3"
---@field state? string what Slurm has said of what was lost: "NODE_FAIL"
---@field attempt integer how often its program may have begun, with this time
---@field lost? ns.SlurmLoss[] the attempts that were lost

---@class ns.SlurmLoss
---@field attempt integer
---@field node? string
---@field job string
---@field state string "NODE_FAIL"
---@field message string
---@field ended? true it was seen to end after all

---A new network without anything in it; or one that is ready-made.
---@class ns.Networks
---@overload fun(options?: { ipv4?: boolean, ipv6?: boolean }): ns.Net
---@field star fun(n: integer, words?: ns.Shape): ns.Net one switch with n hosts
---@field line fun(n: integer, words?: ns.Shape): ns.Net n switches in a row, each with a host
---@field tree fun(depth: integer, fanout: integer, words?: ns.Shape): ns.Net a tree of switches with hosts as leaves

---@class ns
---@field net ns.Networks a new network, or a ready-made one
---@field slurm ns.Slurm
---@field test ns.Test
---@field oci ns.Oci
---@field _VERSION string
---@field CLONE_NEWUSER integer
---@field CLONE_NEWNS integer
---@field CLONE_NEWPID integer
---@field CLONE_NEWNET integer
---@field CLONE_NEWIPC integer
---@field CLONE_NEWUTS integer
---@field CLONE_NEWCGROUP integer
---@field CLONE_NEWTIME integer
local ns = {}

---Starts a program.
---@param spec ns.Spec|ns.Box
---@return ns.Process? process
---@return string? message
---@return integer? errno
---@return ns.Detail? detail
function ns.spawn(spec) end

---Runs a program to its end and collects what it writes.
---@param spec ns.Spec|ns.Box
---@return ns.Result? result
---@return string? message
---@return integer? errno
---@return ns.Detail? detail
function ns.run(spec) end

---Calls a function inside, in a copy of this Lua state.
---@param spec ns.Spec|ns.Box without a program
---@param fn fun(...: any): ...
---@param ... any
---@return true|nil ok
---@return any ... its results; or a message, errno and a ns.CallDetail
function ns.call(spec, fn, ...) end

---Runs a program for each item of the list, some of them at a time. An item is a table of words, or one more argument for
---the program; for a function whatever it takes, which returns a process, or nil and a message.
---@param list table
---@param runner ns.Spec|ns.Box|ns.Container|ns.Pool|fun(item: any, index: integer): ns.Process?
---@param options? { jobs: integer?, timeout: number?, each: (fun(result: ns.Result, index: integer))? }
---@return ns.Result[] results in the order of the list
function ns.parallel(list, runner, options) end

---A container that was started with a name, by whichever script of this user.
---@param name string
---@return ns.Container? container
---@return string? message
---@return integer? errno
---@return ns.Detail? detail
function ns.container(name) end

---The names of all containers of this user that live.
---@return string[]
function ns.containers() end

---What a link is like; the first ones can change while it lives.
---@class ns.Shape
---@field delay? number|string seconds, or as "10ms"; each way
---@field jitter? number|string how far the delay varies
---@field loss? number percent of the packets
---@field duplicate? number percent
---@field corrupt? number percent that arrive with a wrong bit
---@field reorder? number percent that overtake the delayed ones
---@field rate? number|string bits per second, or as "10mbit"
---@field mtu? integer 1280 to 65535

---@class ns.LinkWords : ns.Shape
---@field ipv4? string the subnet of a link between two hosts, as "10.0.0.0/24"
---@field ipv6? string

---@class ns.SwitchWords
---@field ipv4? string its subnet, as "10.0.0.0/24"
---@field ipv6? string as "fd00::/64"

---@class ns.HostAddress
---@field link ns.Link
---@field name string of the interface inside
---@field ipv4? string
---@field ipv6? string

---A host or a router of a network: a living box.
---@class ns.Host : ns.Container
---@field name string
---@field ip? string its first address, when the network is started
---@field ip6? string
---@field container? ns.Container
local Host = {}

---Its addresses, in the order of its links.
---@return ns.HostAddress[]
function Host:addresses() end

---@class ns.Switch
---@field name string

---A link of a network.
---@class ns.Link
---@field name string
local Link = {}

---Changes what it is like, also while all runs. What is not named stays; false takes it away.
---@param words ns.Shape
---@return ns.Link? link
---@return string? message
---@return integer? errno
---@return ns.Detail? detail
function Link:set(words) end

---Takes it down, as if the cable were pulled out.
---@return ns.Link? link
---@return string? message
---@return integer? errno
---@return ns.Detail? detail
function Link:down() end

---Takes it up again.
---@return ns.Link? link
---@return string? message
---@return integer? errno
---@return ns.Detail? detail
function Link:up() end

---A network: hosts, routers, switches and links.
---@class ns.Net
---@field nodes ns.Host[] hosts and routers, as they were added
---@field switches ns.Switch[]
---@field links ns.Link[]
---@field names table<string, ns.Host|ns.Switch> the same by their names
local Net = {}

---Adds a host, with words over those of ns.sandbox(), or with a box.
---@param name string
---@param words? ns.Spec|ns.Box
---@return ns.Host
function Net:host(name, words) end

---Adds a router.
---@param name string
---@param words? ns.Spec|ns.Box
---@return ns.Host
function Net:router(name, words) end

---Adds a switch.
---@param name string
---@param words? ns.SwitchWords
---@return ns.Switch
function Net:switch(name, words) end

---Links two of its hosts, routers and switches.
---@param a ns.Host|ns.Switch|string
---@param b ns.Host|ns.Switch|string
---@param words? ns.LinkWords
---@return ns.Link
function Net:link(a, b, words) end

---Starts all its boxes and wires them; when it returns, packets go through.
---@return ns.Net? net
---@return string? message
---@return integer? errno
---@return ns.Detail? detail
function Net:start() end

---Cuts hosts and routers off from all others, but not from each other: net:cut{a, b}.
---@param ... ns.Host|string|(ns.Host|string)[]
---@return ns.Net? net
---@return string? message
---@return integer? errno
---@return ns.Detail? detail
function Net:cut(...) end

---Takes all cuts back.
---@return ns.Net? net
---@return string? message
---@return integer? errno
---@return ns.Detail? detail
function Net:heal() end

---A picture of it as it is.
---@param format? "dot"|"svg"|"png"|"pdf" "dot", the text for graphviz, where nothing is said
---@return string? text
---@return string? message
---@return integer? errno
---@return ns.Detail? detail
function Net:graph(format) end

---Writes what goes over a link to a file, until the process that is returned is stopped.
---@param link ns.Link
---@param file string
---@param filter? string which packets, as "tcp port 80"
---@return ns.Process? process
---@return string? message
---@return integer? errno
---@return ns.Detail? detail
function Net:capture(link, file, filter) end

---Ends all its boxes at once, and with them all links.
---@return true
function Net:close() end

---Waits for a process: p:wait(seconds).
---@param p ns.Process
---@param seconds? number
---@return true|nil ok
---@return "exit"|"signal"|"timeout"|string how
---@return integer? code
function ns.wait(p, seconds) end

---Makes a builder, empty or starting from a spec.
---@param spec? ns.Spec|ns.Box
---@return ns.Box
function ns.box(spec) end

---Makes a builder that starts from safe defaults, with the words of a spec set over them.
---@param spec? ns.Spec|ns.Box
---@return ns.Box
function ns.sandbox(spec) end

---Makes a builder that starts from safe defaults without any namespace; bind and ro_bind give paths of the host.
---@param spec? ns.Spec|ns.Box
---@return ns.Box
function ns.confined(spec) end

---Tries whether a spec would start here, in a process that is thrown away, and stops before the program.
---@param spec ns.Spec|ns.Box
---@return true|nil ok
---@return string|ns.LeftOut[]|nil message or, after true, what is left out
---@return integer? errno
---@return ns.Detail? detail
function ns.check(spec) end

---Lists the steps of a start in words, one in each line, without doing them.
---@param spec ns.Spec|ns.Box
---@return string? text
---@return string? message
---@return integer? errno
---@return ns.Detail? detail
function ns.explain(spec) end

---@class ns.NamespaceInfo
---@field type ns.Namespace
---@field id integer as in /proc/PID/ns
---@field owner? integer the uid that has made its user namespace
---@field pids integer[] the processes in it
---@field path? string a file on which it is mounted

---What an image says of its program.
---@class ns.ImageConfig
---@field env table<string, string>
---@field cmd? string[]
---@field entrypoint? string[]
---@field cwd? string
---@field user? string
---@field volumes string[]
---@field ports string[]
---@field labels table<string, string>
---@field stop_signal? string

---An image of containers, unpacked.
---@class ns.Image
---@field name string
---@field id? string the digest of its configuration, or of the tar that it was
---@field config ns.ImageConfig
---@field layers string[] directories, the uppermost first
---@field notes string[] what could not be kept
---@field broken? string of one of ns.images() that cannot be used: why
local Image = {}

---A sandbox that has the image as its root, and runs what it says.
---@param ... string arguments in the place of the image's own
---@return ns.Box
function Image:box(...) end

---Takes it out of the store.
---@return true? ok
---@return string? message
---@return integer? errno
function Image:remove() end

---An image: "alpine", "docker://HOST/NAME:TAG", "oci:DIRECTORY:TAG", "docker-archive:FILE:TAG", "dir:DIRECTORY", or the path
---of a tar.
---@param reference string
---@param options? {pull: boolean?, max_size: integer?, max_entries: integer?, tls_verify: boolean?, progress: ns.Progress?}
---@return ns.Image? image
---@return string? message
---@return integer? errno
function ns.image(reference, options) end

---All images of the store.
---@return ns.Image[]? images
---@return string? message
---@return integer? errno
function ns.images() end

---What has changed in a layer: the upper of an overlay or of a root, or the directory that box:upper was given.
---@param upper string
---@param lower string|string[]
---@return ns.Changes
function ns.changes(upper, lower) end

---Lists the namespaces of this machine, or of a process, as far as this user may see them.
---@param process? integer|ns.Process|ns.Container
---@return ns.NamespaceInfo[]? list
---@return string? message
---@return integer? errno
function ns.namespaces(process) end

---@class ns.Feature
---@field ok boolean
---@field reason? string why not
---@field abi? integer the version of landlock

---Finds out by trying what this machine allows to this user.
---@return table<string, ns.Feature>
function ns.features() end

return ns
