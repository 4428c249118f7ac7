--- The program nsbox-oci: the verbs of a runtime of containers, as podman, containerd and Slurm call them.
--
-- `create` makes all but the program: a launcher waits before exec, on a socket in the container's directory, and is the
-- container's first process already. `start` connects there, and hears what has become of it.
-- @module ns.oci.runtime
require("ns.core").nojit()
local check = require "ns.words.check"
local constants = require("ns.core").constants
local core = require "ns.core"
local json = require "ns.json"
local oci = require "ns.oci"
local options = require "ns.oci.options"
local plan = require "ns.start.plan"
local read = require "ns.oci.read"
local signals = require "ns.words.signals"
local spawn = require "ns.start.spawn"
local state = require "ns.oci.state"
local survey = require "ns.start.survey"

local runtime = {}

local fail = state.fail
local VERSION = "1.0.2"
local PATIENCE = 10 -- seconds

-- ---- starts ----

--- Starts a checked spec: a Process. `waits`: the number of the socket on which it waits before exec.
local function launch(words, waits)
  local host = survey.host()
  host.waits = waits
  local spec, mistake, refused = plan.check(words, host)
  if mistake then fail("%s", mistake) end
  local p, message = spawn.start(spec or nil, spec and host or refused)
  return p or fail("%s", message)
end

--- Descriptors that the program has besides the three.
local function preserved(given)
  local fds, count = {}, tonumber(given["preserve-fds"] or 0) or fail "--preserve-fds: number expected"
  for fd = 3, 2 + count do fds[fd] = fd end
  return fds, count
end

--- Hands the terminal of a program to who listens for it.
local function send_terminal(p, given)
  if not p.pty then return end
  local ok, message = core.unix_send(given["console-socket"], "/dev/ptmx", p.pty.fd)
  p.pty:close()
  if not ok then fail("--console-socket %s: %s", given["console-socket"], message) end
end

local function write_pid(given, pid)
  local path = given["pid-file"]
  if not path then return end
  local f, message = io.open(path .. ".new", "w")
  if not f then fail("--pid-file: %s", message) end
  f:write(("%d"):format(pid))
  f:close()
  os.rename(path .. ".new", path)
end

--- What a bundle leaves out: what weakens the container ends us, all else is noted.
local function judge(left, given)
  for _, one in ipairs(left) do
    if one.weakens then fail("%s: %s", one.field, one.why) end
    options.log(given, "warning", ("%s: %s"):format(one.field, one.why))
  end
end

--- The words of a bundle, and its configuration.
local function load(given)
  local bundle, message = core.realpath(given.bundle or ".")
  if not bundle then fail("%s: %s", given.bundle, message) end
  local config
  config, message = oci.load(bundle .. "/config.json")
  if not config then fail("%s", message) end
  local words, left = oci.guarded(bundle .. "/config.json", read.config, config, bundle)
  if not words then fail("%s", left) end
  judge(left, given)
  if not words.argv then fail "process.args: missing" end
  return words, config, bundle
end

local function create_in(directory, id, given, detach)
  local words, config, bundle = load(given)
  local bag = core.bag()
  local fds, count = preserved(given)
  local socket, message = core.unix_listen(bag, directory .. "/start")
  if not socket then fail("%s/start: %s", directory, message) end
  if words.pty and detach and not given["console-socket"] then fail "process.terminal: --console-socket is missing" end
  fds[3 + count] = socket
  words.fds, words.detach, words.keyring = fds, detach, given["no-new-keyring"] and "inherit" or nil
  if not detach then words.forward_signals = { "TERM", "INT", "HUP", "QUIT", "USR1", "USR2" } end
  local p = launch(words, 3 + count)
  bag:close()
  local known = { ociVersion = config.ociVersion, id = id, pid = p.pid, began = state.began(p.pid), bundle = bundle,
    rootfs = words.root.bind, created = os.date "!%Y-%m-%dT%H:%M:%SZ", annotations = config.annotations }
  state.keep(directory, config)
  state.write(directory, known)
  known.directory = directory
  if given["console-socket"] then send_terminal(p, given) end
  write_pid(given, p.pid)
  return known, p
end

local remove

--- Makes a container: what is known of it, and its Process. One that fails leaves nothing.
local function create(given, detach)
  local root, id = state.root(given.root), given.words[1]
  local directory = state.create(root, id)
  local done, known, p = pcall(create_in, directory, id, given, detach)
  if done then return known, p end
  remove(state.read(root, id))
  return error(known, 0)
end

--- Lets it go on to its program: fails with what has kept it from that.
local function start(known)
  local bag = core.bag()
  local path = known.directory .. "/start"
  local socket, message = core.unix_connect(bag, path)
  if not socket then fail("container '%s' cannot be started: %s", known.id, message) end
  os.remove(path)
  core.unix_send_byte(socket)
  local step, errno
  repeat
    local s, e, code = core.unix_record(socket, PATIENCE)
    if s == nil and code then fail("container '%s': %s", known.id, e) end
    if s then step, errno = s, e end
  until not s or errno ~= 0
  bag:close()
  if not step then fail("container '%s' has ended", known.id) end
  if errno ~= 0 then fail("exec: %s", core.strerror(errno)) end
end

-- ---- ends ----

--- A pidfd of its first process, in the bag; nil if that has ended.
local function pidfd(bag, known)
  local fd = known.pid and bag:pidfd(known.pid)
  return fd and state.began(known.pid) == known.began and fd or nil
end

local function signal_of(text)
  local number = signals.number(tonumber(text) or text or "TERM")
  return number or fail("'%s' is no signal", text)
end

local function send(known, number)
  local bag = core.bag()
  local fd = pidfd(bag, known)
  local ok = fd and core.pidfd_signal(fd, number)
  if ok and number == constants.signal.KILL then core.pidfd_await(fd, PATIENCE) end
  bag:close()
  return ok
end

--- Ends it, whatever it is at, and forgets it.
function remove(known)
  if not known then return end
  if not known.pid then -- its making was cut short: who waits there leaves when he is told nothing
    local bag = core.bag()
    core.unix_connect(bag, known.directory .. "/start")
    bag:close()
  end
  send(known, constants.signal.KILL)
  if state.status(known) ~= "stopped" then fail("container '%s' cannot be ended", known.id) end
  state.remove(known)
end

-- ---- what runs in it ----

--- The processes of its pid namespace.
local function pids_of(known)
  local own, list = known.pid and core.readlink(("/proc/%d/ns/pid"):format(known.pid)), {}
  for _, entry in ipairs(own and core.entries "/proc" or {}) do
    local pid = tonumber(entry.name)
    if pid and core.readlink(("/proc/%d/ns/pid"):format(pid)) == own then list[#list + 1] = pid end
  end
  table.sort(list)
  return list
end

--- The process of `exec`: that of a file, or of the configuration, with what is typed.
local function process_of(given, config)
  if given.process then
    local process, message = oci.load(given.process)
    return process or fail("%s", message)
  end
  local process = {}
  for key, value in pairs(config.process) do process[key] = value end
  process.args = {}
  for i = 2, #given.words do process.args[i - 1] = given.words[i] end
  if #process.args == 0 then fail "which program is to be run?" end
  process.terminal, process.cwd = given.tty or false, given.cwd or process.cwd
  local env = {}
  for _, text in ipairs(process.env or {}) do env[#env + 1] = text end
  for _, text in ipairs(given.env) do env[#env + 1] = text end
  process.env = env
  if given.user then
    local uid, gid = given.user:match "^(%d+):?(%d*)$"
    if not uid then fail("--user %s: UID or UID:GID expected", given.user) end
    process.user = { uid = tonumber(uid), gid = tonumber(gid) or 0 }
  end
  return process
end

local function words_of_exec(given, known)
  local config = oci.load(known.directory .. "/config.json") or fail("container '%s' has lost its configuration", known.id)
  local words, left = oci.guarded("process", function()
    local left = {}
    return read.process(process_of(given, config), config.linux, known.rootfs, left), left
  end)
  if not words then fail("%s", left) end
  judge(left, given)
  words.join, words.fds, words.detach = { from = known.pid }, preserved(given), given.detach
  if words.pty and given.detach and not given["console-socket"] then fail "--console-socket is missing" end
  if not given.detach then words.forward_signals = { "TERM", "INT", "HUP", "QUIT", "USR1", "USR2" } end
  return words
end

--- Waits for a program: its exit status, as a shell has it.
local function wait(p, given)
  local _, how, code
  if p.pty and not given["console-socket"] then _, how, code = p:interact() else _, how, code = p:wait() end
  if how == "signal" then return 128 + code end
  return how == "exit" and code or 1
end

-- ---- the verbs ----

local verbs = {}

function verbs.create(given) create(given, true) end

function verbs.start(given)
  local known = state.need(state.root(given.root), given.words[1])
  if state.status(known) ~= "created" then fail("container '%s' is %s", known.id, state.status(known)) end
  start(known)
end

function verbs.run(given)
  local known, p = create(given, given.detach)
  local done, why = pcall(start, known)
  if not done then
    remove(known)
    error(why, 0)
  end
  if given.detach then return 0 end
  local status = wait(p, given)
  if not given.keep then remove(known) end
  return status
end

function verbs.state(given)
  local known = state.need(state.root(given.root), given.words[1])
  local status = state.status(known)
  io.write(json.write { ociVersion = known.ociVersion or VERSION, id = known.id, status = status,
    pid = status ~= "stopped" and known.pid or 0, bundle = known.bundle or "", rootfs = known.rootfs,
    created = known.created, annotations = known.annotations })
end

function verbs.kill(given)
  local known, number = state.need(state.root(given.root), given.words[1]), signal_of(given.words[2])
  if given.all then
    for _, pid in ipairs(pids_of(known)) do
      if pid ~= known.pid then send({ pid = pid, began = state.began(pid) }, number) end
    end
  end
  if not send(known, number) and not given.all then fail("container '%s' is not running", known.id) end
end

function verbs.delete(given)
  local root = state.root(given.root)
  local known = state.read(root, given.words[1])
  if not known and given.force then return 0 end
  if not known then fail("container '%s' does not exist", tostring(given.words[1])) end
  if not given.force and state.status(known) == "running" then fail("container '%s' is running", known.id) end
  remove(known)
end

function verbs.exec(given)
  local known = state.need(state.root(given.root), given.words[1])
  if state.status(known) ~= "running" then fail("container '%s' is not running", known.id) end
  local p = launch(words_of_exec(given, known))
  if given["console-socket"] then send_terminal(p, given) end
  write_pid(given, p.pid)
  return given.detach and 0 or wait(p, given)
end

function verbs.ps(given)
  local list = pids_of(state.need(state.root(given.root), given.words[1]))
  if given.format == "json" then
    io.write(json.write(json.array(list)))
  else
    for _, pid in ipairs(list) do print(("%d"):format(pid)) end
  end
end

function verbs.list(given)
  local root = state.root(given.root)
  for _, id in ipairs(state.list(root)) do
    local known = state.read(root, id)
    if known then print(("%s\t%s\t%s"):format(id, state.status(known), known.bundle or "")) end
  end
end

local function names_of(set, prefix)
  local list = json.array {}
  for name in pairs(set) do list[#list + 1] = (prefix or "") .. name end
  table.sort(list)
  return list
end

function verbs.features()
  io.write(json.write { ociVersionMin = "1.0.0", ociVersionMax = "1.2.0", hooks = json.array {},
    mountOptions = read.mount_options(),
    linux = { namespaces = json.array { "cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts" },
      capabilities = names_of(constants.cap, "CAP_"), cgroup = { v1 = false, v2 = true, systemd = false },
      seccomp = { enabled = true }, apparmor = { enabled = false }, selinux = { enabled = false } } })
end

--- What there is not, and why.
local MISSING = { pause = "a container cannot be stopped and go on", resume = "a container cannot be stopped and go on",
  update = "the limits of a container are those of its start", checkpoint = "there are no checkpoints",
  restore = "there are no checkpoints", events = "nothing is measured", stats = "nothing is measured" }

--- Does what is typed: the exit status.
-- @tparam table arguments as `arg`
-- @treturn integer
function runtime.run(arguments)
  local given = { env = {}, words = {} }
  local done, status = pcall(function()
    options.read(arguments, given)
    if given.version then return print(("nsbox-oci version %s\nspec: %s"):format(require("ns")._VERSION, VERSION)) end
    if given.help or not given.verb then return print(options.HELP) end
    if MISSING[given.verb] then fail("%s: %s", given.verb, MISSING[given.verb]) end
    return (verbs[given.verb] or fail("there is no verb '%s'", given.verb))(given)
  end)
  if done then return status or 0 end
  local message = type(status) == "table" and status.message or check.mistake(status) or tostring(status)
  options.log(given, "error", message)
  io.stderr:write("nsbox-oci: ", message, "\n")
  return 1
end

return runtime
