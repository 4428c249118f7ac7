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

---@class ns.InputFile
---@field path string

---@class ns.OutputFile
---@field path string
---@field append? boolean keep what is there; otherwise the file is emptied

---@class ns.TimeOffsets
---@field monotonic? number seconds, from -1e9 to 1e9
---@field boottime? number seconds, from -1e9 to 1e9

---What to run, and in what. The array part is the program and its arguments. Read without metamethods.
---@class ns.Spec
---@field [integer] string the program and its arguments, unless argv says them
---@field argv? string[] the program and its arguments; a program without a slash is looked up in PATH
---@field argv0? string what the program sees as its own name
---@field flags? ns.Namespace[]|string|integer new namespaces: a list of names, "uts,ipc", or ns.CLONE_NEWUTS + ...
---@field detach? boolean the program outlives its handle and the host
---@field timeout? number seconds, counted from the start; then the program is stopped
---@field input? string what run and communicate feed to stdin
---@field grace? number seconds between SIGTERM and SIGKILL, 2 where nothing is said
---@field max_output? integer bytes of each output that are kept; the rest is read and dropped
---@field map? "root"|"self"|"auto" ids in the new user namespace, "root" if nothing is said; needs "user"
---@field uid_map? ns.IdRange[] needs "user"
---@field gid_map? ns.IdRange[] needs "user"
---@field setgroups? "allow"|"deny" needs "user"
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
---@field umask? integer 0 to 511
---@field cwd? string
---@field env? table<string, string|false> changes to the environment; false removes a variable
---@field clear_env? boolean start from an empty environment

---Where a refusal came from.
---@class ns.Detail
---@field step string the step that was refused: "mount", "exec", "clone", ...
---@field path? string
---@field word? string the word of the spec that asked for the step
---@field errno? integer
---@field code string "EPERM"
---@field hint? string the cause and the remedy, where they can be found out

---What a program has used: getrusage(2).
---@class ns.Usage
---@field utime number seconds
---@field stime number seconds
---@field maxrss number KiB
---@field minflt number
---@field majflt number
---@field inblock number
---@field oublock number
---@field nvcsw number
---@field nivcsw number

---What a run has come to.
---@class ns.Result
---@field ok? true nil unless the program ended with exit status 0
---@field how "exit"|"signal"
---@field code? integer exit status, when it ended by exit
---@field signal? integer signal number, when a signal ended it
---@field signame? string "KILL"
---@field stdout? string nil where it was no pipe
---@field stderr? string nil where it was no pipe
---@field truncated? boolean an output was longer than max_output
---@field timed_out boolean the timeout of the spec has ended it
---@field wall number seconds from the start to the end
---@field usage? ns.Usage

---A program that was started. Closing or dropping it ends the program, unless it is detached.
---@class ns.Process
---@field pid integer
---@field stdin? file* where the spec says "pipe"
---@field stdout? file* where the spec says "pipe"
---@field stderr? file* where the spec says "pipe"
---@field wall? number seconds from the start to the end, once it has ended
---@field timed_out? boolean the timeout of the spec has ended it
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

---SIGTERM, `grace` seconds (2) of patience, then SIGKILL for the program and all it has started.
---@param grace? number
---@return true|nil ok
---@return "exit"|"signal"|string how
---@return integer? code
function Process:stop(grace) end

---Ends the program if it runs (SIGKILL), reaps it, closes its files. May be called again.
function Process:close() end

---What the program has used, once it has ended.
---@return ns.Usage?
function Process:usage() end

---Feeds `input`, reads both outputs to their ends, waits, closes.
---@param input? string
---@return ns.Result? result
---@return string? message
---@return integer? errno
function Process:communicate(input) end

---The pidfd, readable when the program has ended: for socket.select and uv.new_poll.
---@return integer
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

---For cqueues.poll.
---@return nil
function Process:timeout() end

---A spec that is put together word by word. Each word of ns.Spec is a method, and returns the box.
---@class ns.Box
---@field argv0 fun(self: ns.Box, value: string): ns.Box
---@field flags fun(self: ns.Box, value: ns.Namespace[]|string|integer): ns.Box
---@field detach fun(self: ns.Box, value?: boolean): ns.Box
---@field timeout fun(self: ns.Box, value: number): ns.Box
---@field input fun(self: ns.Box, value: string): ns.Box
---@field grace fun(self: ns.Box, value: number): ns.Box
---@field max_output fun(self: ns.Box, value: integer): ns.Box
---@field map fun(self: ns.Box, value: "root"|"self"|"auto"): ns.Box
---@field uid_map fun(self: ns.Box, value: ns.IdRange[]): ns.Box
---@field gid_map fun(self: ns.Box, value: ns.IdRange[]): ns.Box
---@field setgroups fun(self: ns.Box, value: "allow"|"deny"): ns.Box
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
---@field umask fun(self: ns.Box, value: integer): ns.Box
---@field cwd fun(self: ns.Box, value: string): ns.Box
---@field clear_env fun(self: ns.Box, value?: boolean): ns.Box
local Box = {}

---Adds namespaces to those that are there.
---@param ... ns.Namespace
---@return ns.Box
function Box:unshare(...) end

---Adds a variable, or several: box:env{LANG = "C"}. false removes one.
---@param name string|table<string, string|false>
---@param value? string|false
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

---Starts the program given here, or that of the box: as ns.spawn.
---@param ... string
---@return ns.Process? process
---@return string? message
---@return integer? errno
---@return ns.Detail? detail
function Box:spawn(...) end

---Runs the program given here, or that of the box, to its end: as ns.run.
---@param ... string
---@return ns.Result? result
---@return string? message
---@return integer? errno
---@return ns.Detail? detail
function Box:run(...) end

---@class ns
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

---Waits for a process: p:wait(seconds).
---@param p ns.Process
---@param seconds? number
---@return true|nil ok
---@return "exit"|"signal"|"timeout"|string how
---@return integer? code
function ns.wait(p, seconds) end

---A builder that starts from nothing, or from a spec.
---@param spec? ns.Spec
---@return ns.Box
function ns.box(spec) end

return ns
