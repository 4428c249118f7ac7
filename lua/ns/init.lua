--- Programs in Linux namespaces.
--
-- What the caller got wrong raises an error at the caller's line, with the name of the field. What the system refuses is
-- returned: nil, message, errno, detail; `detail` has step, path, word, errno, code, hint. Times are in seconds, with
-- fractions; sizes in bytes. The words of a spec and the kinds of mounts are listed in doc/.
--
-- The room of what users hold first: the functions, boxes, what the machine can.
-- Requires start, running and words.
-- @module ns
require("ns.core").nojit()
local later = require("ns.words.later").module
local box = require "ns.box"
local call = require "ns.call"
local changes = require "ns.changes"
local confined = require "ns.confined"
local container = later "ns.container"
local core = require "ns.core"
local explain = later "ns.start.explain"
local features = later "ns.features"
local named = later "ns.start.named"
local image = later "ns.image"
local lifecycle = require "ns.running.lifecycle"
local namespaces = later "ns.running.namespaces"
local net = later "ns.net"
local no_words = require("ns.words.check").no_words
local parallel = later "ns.parallel"
local plan = require "ns.start.plan"
local pool = later "ns.pool"
local process = require "ns.running.process"
local functions = require("ns.words.check").functions
local raise = require("ns.words.check").raise
local sandbox = require "ns.sandbox"
local spawn = require "ns.start.spawn"
local stdio = require "ns.words.stdio"

local survey = require "ns.start.survey"
local test = later "ns.test"

local ns = { _VERSION = "ns 0.1.0" }

-- The flags of clone(2), to be added up: ns.CLONE_NEWPID + ns.CLONE_NEWNS.
for name, number in pairs(core.constants.clone) do ns["CLONE_" .. name] = number end

--- The spec in its normal form, and the host; or nil, the step that was refused. A mistake is raised as one of the function
-- `name`. `cache`: what a box keeps of its starts.
local function check(spec, name, cache)
  local host = survey.host()
  if host.secure then raise "ns refuses to work in a set-uid program" end
  local checked, mistake, refused = plan.check(spec, host, cache)
  if refused then return nil, refused end
  if not checked then raise("bad argument #1 to '%s' (%s)", name, mistake) end
  return checked, host
end

--- A plain spec, of a box or of the caller's.
local function plain(spec) return box.is(spec) and spec:spec() or spec end

local function spawn_words(words, cache)
  local checked, host = check(words, "spawn", cache)
  return spawn.start(checked, host, cache)
end

local function run(words, cache)
  if type(words) ~= "table" then raise("bad argument #1 to 'run' (spec: %s)", no_words(words)) end
  local checked, host = check(stdio.collected(words), "run", cache)
  local forwarded = checked and checked.forward_signals
  return process.collect(lifecycle.catching(forwarded, spawn.start, checked, host, cache))
end

local function call_words(words, cache)
  local checked, host = check(words, "call", cache)
  if checked then host.calls = true end
  return call.collect(spawn.start(checked, host, cache))
end

--- Starts a program.
-- @tparam table|Box spec its words; the array part is argv
-- @treturn Process the running program; or nil, message, errno, detail
-- @raise a mistake in the spec, with the name of the field
-- @see clone(2)
-- @see namespaces(7)
function ns.spawn(spec)
  if box.is(spec) then return spec:spawn() end
  return spawn_words(spec)
end

--- Runs a program to its end and collects what it writes.
--
-- As `spawn`, but stdin is "null", stdout and stderr are "pipe" where nothing is said; any other string as stdin is fed to
-- the program. `timeout` stops the program and all it has started; `max_output` bounds what is kept of each output, in
-- bytes. Output of grandchildren is awaited for half a second after the program's end.
-- @tparam table|Box spec its words; the array part is argv
-- @treturn Result ok, how, code, signal, signame, stdout, stderr, truncated, timed_out, wall, usage; or nil, message, errno,
-- detail when it did not start
-- @raise a mistake in the spec, with the name of the field
-- @see ns.running.result
function ns.run(spec)
  if box.is(spec) then return spec:run() end
  return run(spec)
end

--- Calls a function inside, in a copy of this Lua state, and waits for its results: plain values, and tables of these.
--
-- Its streams are as of `spawn`; what it changes in variables and tables stays in the copy. `detail.how` tells an "error"
-- (with `traceback` and `value`), an "exit" (by os.exit, with `status`), a "signal" (`signal`, `signame`) and a "timeout"
-- apart; where the copy was not started, `detail` is as of `spawn`.
-- @tparam table|Box spec its words, without a program
-- @tparam function fn
-- @param ... its arguments
-- @return true, and what it returns; or nil, message, errno, detail
-- @raise a mistake in the spec, with the name of the field
-- @see clone(2)
function ns.call(spec, fn, ...)
  if box.is(spec) then return spec:call(fn, ...) end
  return call_words(call.words(spec, fn, ...))
end

--- Runs a program for each item of a list, some of them at a time; the results are in the order of the list.
-- @function ns.parallel
-- @tparam table list of tables of words, or of last arguments
-- @tparam table|Box|Container|Pool|function runner what runs them; a function gets the item and its number, and returns a
-- Process
-- @tparam[opt] table options `jobs`: how many at a time, else as many as there are processors; `timeout`: seconds for each
-- @treturn {Result,...} that of what could not be started has `how` "refused", `message`, `errno`, `detail`
-- @raise a mistake in the arguments or in a spec
-- @see ns.parallel
ns.parallel = parallel.run

--- A container that was started with a name, by this script or by another one of this user.
-- @function ns.container
-- @tparam string name
-- @treturn Container a handle of its own; or nil, message, errno (ENOENT where none of that name lives), detail
-- @raise if it is no name
-- @see ns.container
ns.container = container.find

--- A list's programs on the machines of a Slurm cluster: `ns.slurm.parallel`. It is loaded when it is called.
ns.slurm = { parallel = later("ns.slurm").parallel }

--- The names of all containers of this user that live.
-- @function ns.containers
-- @treturn {string,...} in order
ns.containers = named.list

--- A new network, to which hosts, switches, routers and links are added, and which is started then.
-- @function ns.net
-- @tparam[opt] table options `ipv4`, `ipv6`: false for one without
-- @treturn Net
-- @raise a mistake in the options
-- @see ns.net
ns.net = net

--- Waits for a process: `p:wait(seconds)`.
-- @tparam Process p
-- @tparam[opt] number seconds at the most; without, for ever
-- @return true or nil, "exit" or "signal", code; nil, "timeout" while it runs; nil, message, errno when the status is lost
-- @raise if p is no process, or seconds no number from 0 up
-- @see waitid(2)
function ns.wait(p, seconds)
  if not process.is(p) then raise("bad argument #1 to 'wait' (ns.Process expected, got %s)", type(p)) end
  process.check_seconds(seconds, "wait", 2)
  return p:wait(seconds)
end

--- Makes a builder, empty or starting from a spec.
-- @tparam[opt] table|Box spec which is copied
-- @treturn Box
-- @raise if the spec is no table
-- @see ns.box
function ns.box(spec)
  return box.over({}, spec, "box")
end

--- Makes a builder that starts from safe defaults: every namespace, ids that nobody has on the host, a read-only system,
-- /proc, /dev and /tmp of its own, no capabilities, no new privileges, an init, a clean environment (doc/security.md).
-- @tparam[opt] table|Box spec whose words are set in it, as by the methods of their names
-- @treturn Box
-- @raise a mistake in the spec, with the name of the field
-- @see user_namespaces(7)
function ns.sandbox(spec)
  return box.over(sandbox.spec(), spec, "sandbox")
end

--- Makes a builder that starts from safe defaults without any namespace, for hosts where none can be had: landlock, no
-- capabilities, no new privileges, an init, a clean environment. It promises less than a sandbox (doc/security.md).
-- @tparam[opt] table|Box spec whose words are set in it, as by the methods of their names
-- @treturn Box in which bind and ro_bind give paths of the host where they are
-- @raise a mistake in the spec, with the name of the field
-- @see landlock(7)
function ns.confined(spec)
  return box.over(confined.spec(), spec, "confined")
end

--- Tries whether a spec would start here: sets everything up in a process that is thrown away, and stops before the first
-- instruction of the program.
-- @tparam table|Box spec as for `spawn`
-- @return true, and what is left out, if something is; or nil, message, errno, detail: what `spawn` would return
-- @raise a mistake in the spec, with the name of the field
function ns.check(spec)
  local checked, host = check(plain(spec), "check")
  host.trial = true
  local p, message, errno, detail = spawn.start(checked, host)
  if not p then return nil, message, errno, detail end
  p:wait()
  p:close()
  if #p.left_out > 0 then return true, p.left_out end
  return true
end

--- Lists the steps of a start in words, one in each line, without doing them.
-- @tparam table|Box spec as for `spawn`
-- @treturn string the text; or nil, message, errno, detail when the root cannot be read
-- @raise a mistake in the spec, with the name of the field
function ns.explain(spec)
  return explain.text(check(plain(spec), "explain"))
end

--- What has changed in a layer: the upper of an overlay or of a root; of box:upper(D) it is D .. "/upper".
-- @function ns.changes
-- @tparam string upper an absolute path
-- @tparam string|table lower the directory below, or several, the uppermost first
-- @treturn Changes
-- @raise a mistake in the arguments
-- @see ns.changes
ns.changes = changes.new

--- An image of containers: "alpine", "docker://HOST/NAME:TAG", "oci:DIRECTORY:TAG", "docker-archive:FILE:TAG",
-- "dir:DIRECTORY", or the path of a tar.
-- @function ns.image
-- @tparam string reference
-- @tparam[opt] table options pull, max_size, tls_verify
-- @treturn Image unpacked into the store; or nil, message, errno
-- @raise a mistake in the arguments
-- @see ns.image
ns.image = image.new

--- All images of the store, in the order of their names.
-- @function ns.images
-- @treturn {Image,...}
ns.images = image.list

--- The namespaces of this machine, as lsns(8) lists them, as far as this user may see; or those of one process.
--
-- Each is { type, id, owner, pids, path }: the name of its kind, as in `flags`; its number, as in /proc/PID/ns; the uid
-- that has made its user namespace, where that can be asked; the processes that are in it; a file on which it is mounted, as
-- by `p:persist` or `ip netns`, or nil.
-- @tparam[opt] integer|Process|Container of whose they are
-- @treturn table a list; or nil, message, errno (ESRCH, EACCES) where the process cannot be asked
-- @raise if it is none of these
-- @see lsns(8)
-- @see namespaces(7)
function ns.namespaces(of)
  return namespaces.list(of)
end

--- Finds out by trying what this machine allows to this user:
-- {user = {ok = true}, overlay = {ok = false, reason = "..."}}.
-- @function ns.features
-- @treturn table by name, each with `ok`, and with `reason` where it is false; the names stand in doc/errors.md
ns.features = features.all

--- Test programs without busted: `ns.test.run`.
ns.test = test

--- Bundles of containers, as crun and runc run them: `ns.oci.spec`. It is loaded when it is used.
-- @see ns.oci
ns.oci = { spec = later("ns.oci").spec }

box.spawn, box.run, box.check, box.explain = spawn_words, run, ns.check, ns.explain
box.start, box.pool, box.call = container.start, pool.new, call_words
functions("ns", ns, { spawn = 1, run = 1, check = 1, explain = 1, parallel = 3, container = 1, containers = 0, wait = 2,
  box = 1, sandbox = 1, confined = 1, changes = 2, image = 2, images = 0, namespaces = 1, features = 0 })

return ns
