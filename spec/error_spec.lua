--- Hints: why the system has refused, where it can be found out, and what helps. Each is provoked for real where this
-- machine can; where it cannot, the files that tell are made up.
local machine = require "support.machine"
local ns = require "ns"

local root_it, user_it = machine.root_it, machine.it("user")

--- What ns.spawn says of a spec, written as Lua, in another host: code and hint. `options` as for machine.host.
local function hint_of(spec, options)
  local code = ([[
    local ns = require "ns"
    %s
    local p, message, _, detail = ns.spawn(%s)
    if p then print("it runs") else print(detail.code, detail.hint or message) end
  ]]):format(options.before or "", spec)
  local r = machine.host(code, options)
  return (r.stdout .. r.stderr):gsub("\n$", "")
end

local NOBODY = machine.as_user .. ' "$@"'

--- A command that does `line` in a mount namespace of its own, and then the rest.
local function after(line)
  return { "unshare", "--mount", "--propagation", "private", "sh", "-ec", line .. '; exec "$@"', "sh" }
end

describe("exec says", function()
  local T, remove, FLAGS = nil, nil, machine.root and "mount" or "user,mount"

  setup(function()
    T, remove = machine.directory()
    os.execute(("mkdir -p %s/root/usr/bin && ln -s usr/bin %s/root/bin && cp /bin/true %s/root/usr/bin/app"):format(T, T, T))
    machine.file(T .. "/root/usr/bin/script", "#!/opt/nothing -x\n", "755")
    machine.file(T .. "/script", "#! /bin/true\n", "755")
    machine.file(T .. "/foreign", ("#!%s/nothing\n"):format(T), "755")
    machine.file(T .. "/windows", "#!/bin/sh\r\necho\r\n", "755")
    machine.file(T .. "/plain", "#!/bin/sh\n", "644")
    machine.file(T .. "/chain", ("#!%s/plain\n"):format(T), "755")
    machine.file(T .. "/text", "echo hi\n", "755")
  end)
  teardown(function() remove() end)

  local function hint(spec)
    local p, message, _, detail = ns.spawn(spec)
    assert.is_nil(p)
    return detail.hint or message
  end

  for _, flags in ipairs { FLAGS, "user,mount" } do
    user_it("that a program's ELF interpreter is not in the new root, with flags " .. flags, function()
      for _, name in ipairs { "/bin/app", "/usr/bin/app", "../bin/app" } do
        assert.matches("^" .. name:gsub("%.", "%%.") .. " is there, but its ELF interpreter /[%w/._-]+ is not$",
          hint { name, flags = flags, root = T .. "/root", cwd = "/usr" })
      end
      assert.matches("^/usr/bin/app is there, but its ELF", hint { "app", flags = flags, root = T .. "/root",
        env = { PATH = "/sbin:/usr/bin" } })
    end)

    user_it("that a script's interpreter is not in the new root, with flags " .. flags, function()
      assert.equal("/bin/script is there, but its #! interpreter /opt/nothing is not",
        hint { "/bin/script", flags = flags, root = T .. "/root" })
    end)
  end

  user_it("that an interpreter is not in the new root, though the host has it", function()
    assert.equal("/s is there, but its #! interpreter /bin/true is not",
      hint { "/s", flags = FLAGS, root = "empty", mounts = { { type = "bind", source = T .. "/script", target = "/s" } } })
  end)

  it("that a script's interpreter is not on the host", function()
    assert.equal(("%s/foreign is there, but its #! interpreter %s/nothing is not"):format(T, T), hint { T .. "/foreign" })
  end)

  it("that an ELF interpreter is not there, whatever its path is and wherever in the file it stands", function()
    local source = machine.file(T .. "/empty.c", "int main(void) { return 0; }\n")
    for i, row in ipairs { { "/lib/ld-none.so.9", "-no-pie -Wl,--section-start=.interp=0x500000" },
      { "/opt/name with spaces", "-pie" }, { "/opt/loader.so", "" } } do
      local path, options = row[1], row[2]
      local program = ("%s/program%d"):format(T, i)
      assert(os.execute(("gcc %s -o %s %s '-Wl,--dynamic-linker=%s'"):format(source, program, options, path)))
      local expected = ("%s is there, but its ELF interpreter %s is not"):format(program, path)
      assert.equal(expected, hint { program })
      machine.file(T .. "/by_program", ("#!%s -x\n"):format(program), "755")
      assert.equal(expected, hint { T .. "/by_program" })
    end
  end)

  it("which of the interpreters of interpreters is not there, as many as the kernel follows", function()
    for i = 1, 6 do machine.file(("%s/%d"):format(T, i), ("#!%s/%d\n"):format(T, i + 1), "755") end
    for i = 1, 6 do
      assert.equal(("%s/6 is there, but its #! interpreter %s/7 is not"):format(T, T), hint { ("%s/%d"):format(T, i) })
    end
    machine.file(T .. "/7", ("#!%s/8\n"):format(T), "755")
    assert.matches("%(ELOOP%)", hint { T .. "/1" })
  end)

  user_it("that the interpreter of a file of the spec is not there", function()
    local function own(data)
      local mounts = { { type = "file", target = "/i", data = "#!/no/such\n", mode = 493 } }
      mounts[2] = { type = "file", target = "/s", data = data, mode = 493 }
      return hint { "/s", flags = FLAGS, root = "empty", mounts = mounts }
    end
    assert.equal("/s is there, but its #! interpreter /no/such is not", own "#!/no/such\n")
    assert.equal("/i is there, but its #! interpreter /no/such is not", own "#!/i\n")
    assert.equal("/s is there, but its ELF interpreter /opt/loader.so is not", own(machine.read(T .. "/program3")))
  end)

  user_it("nothing of an interpreter that is no file of the host", function()
    local script = machine.file(T .. "/by_i", "#!/i\n", "755")
    assert.matches("^exec '/s': Permission denied", hint { "/s", flags = FLAGS, root = "empty", mounts = {
      { type = "bind", source = script, target = "/s" }, { type = "file", target = "/i", data = "#!/bin/sh\n" } } })
  end)

  it("that a script has been written on Windows", function()
    assert.matches("/windows has lines that end as on Windows", hint { T .. "/windows" })
  end)

  it("that an interpreter is not executable", function()
    if machine.root then assert.equal(("its interpreter %s/plain is not executable"):format(T), hint { T .. "/chain" }) end
    assert.equal(T .. "/plain is not executable: chmod +x", hint { T .. "/plain" })
  end)

  it("that no shell reads a line", function()
    assert.equal("no shell reads this: { 'sh', '-c', 'ls /' } or { 'ls', '/' }", hint { "ls /" })
    assert.equal("no shell reads this: { 'sh', '-c', [[echo 'a' | cat]] }", hint { "echo 'a' | cat" })
    assert.equal("no shell reads this: { 'sh', '-c', '~/bin/x' }", hint { "~/bin/x" })
    assert.equal("no shell reads this: '~' stands for no directory", hint { "true", cwd = "~/src" })
    assert.matches("%(ENOENT%)$", hint { "no-such-program", env = { PATH = "/usr/bin:/bin" } })
  end)

  it("that a link leads to nothing", function()
    assert(os.execute(("ln -s /no/such %s/dangling && ln -s dangling %s/to_it"):format(T, T)))
    for name, to in pairs { dangling = "/no/such", to_it = "dangling" } do
      local path = T .. "/" .. name
      local expected = ("%s is a link to %s, which is not there"):format(path, to)
      assert.equal(expected, hint { path })
      assert.equal(expected, hint { "true", cwd = path })
    end
  end)

  machine.it("overlay")("that a lower of an overlay lies in another", function()
    local box = ns.sandbox():overlay({ "/usr/share", "/usr" }, "/mnt"):argv("true")
    assert.matches("^one of its directories lies in another", hint(box:spec()))
  end)

  user_it("that the root of the spec has not what the host has", function()
    local expected = ("the host has %s, the root of this spec has not: give it with bind or ro_bind"):format(T)
    assert.equal(expected, hint(ns.sandbox():cwd(T):argv("true"):spec()))
    assert.matches("^the host has .-/script, the root of this spec has not", hint(ns.sandbox():argv(T .. "/script"):spec()))
    assert.equal("/opt/x is a link to /opt/y, which is not there",
      hint(ns.sandbox():symlink("/opt/x", "/opt/y"):cwd("/opt/x"):argv("true"):spec()))
  end)

  it("that it is a directory", function() assert.equal(T .. " is a directory", hint { T }) end)

  it("that a text needs #!, as no shell is tried", function()
    assert.matches("a script needs '#!'", hint { T .. "/text" })
  end)

  user_it("that the mount may not have programs", function()
    assert.matches("mounted noexec", hint { "/tmp/script", flags = FLAGS, root = "/", mounts = {
      { type = "bind", source = T, target = "/tmp", exec = false } } })
  end)

  it("that argv and env are longer than this program's stack allows", function()
    local spec = { "true", rlimits = { stack = 1048576 } }
    for i = 2, 5 do spec[i] = ("x"):rep(100000) end
    assert.equal("argv and env together are longer than the system takes", hint(spec))
  end)

  it("nothing where the program is just not there", function()
    assert.equal("exec '/nope': No such file or directory (ENOENT)", hint { "/nope" })
  end)
end)

describe("a refused clone says", function()
  it("that an ordinary user needs a user namespace", function()
    assert.equal("EPERM\tan ordinary user needs 'user' among the flags",
      hint_of('{ "true", flags = "net" }', { nobody = true }))
    assert.equal("EPERM\tneeds CAP_SYS_ADMIN: add 'user' to the flags",
      hint_of('{ "true", flags = "time" }', { nobody = true }))
  end)

  root_it("that this root lacks CAP_SYS_ADMIN", function()
    assert.matches("^EPERM\tthis root lacks CAP_SYS_ADMIN: ",
      hint_of('{ "true", flags = "net" }', { under = { "setpriv", "--bounding-set=-sys_admin" } }))
  end)

  user_it("that user namespaces are set to 0, and which setting it is", function()
    local line = 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"'
    assert.equal("ENOSPC\tuser.max_user_namespaces is 0: sysctl user.max_user_namespaces=10000",
      hint_of('{ "true", flags = "user" }', { nobody = true, under = { "unshare", "-Ur", "sh", "-ec", line, "sh" } }))
    line = line:gsub("user_", "mnt_")
    assert.matches("^ENOSPC\tuser.max_mnt_namespaces is 0",
      hint_of('{ "true", flags = "mount" }', { nobody = true, under = { "unshare", "-Ur", "sh", "-ec", line, "sh" } }))
  end)

  user_it("that namespaces are nested too deep", function()
    local under = {}
    for _ = 1, 33 do
      under[#under + 1] = "unshare"
      under[#under + 1] = "-Ur"
    end
    assert.matches("^ENOSPC\ta limit of .- is reached, of this user namespace or of one around it .-, or 32 levels of nest",
      hint_of('{ "true", flags = "user" }', { nobody = true, under = under }))
  end)

  it("that a seccomp filter is in the way", function()
    local under = machine.refuse("EPERM", "clone", "clone3")
    assert.matches("^EPERM\ta seccomp filter may forbid user namespaces: .-docker: .-systemd: RestrictNamespaces=",
      hint_of('{ "true", flags = "user" }', { under = under }))
    if machine.root then
      assert.matches("^EPERM\ta seccomp filter may forbid it: ",
        hint_of('{ "true", flags = "net" }', { under = under }))
    end
    assert.equal("EINVAL\tthis kernel lacks one of these kinds of namespace",
      hint_of('{ "true", flags = "user" }', { under = machine.refuse("EINVAL", "clone", "clone3") }))
  end)

  root_it("that a process in a chroot may not make a user namespace", function()
    local T, remove = machine.directory()
    finally(remove)
    assert.matches("^EPERM\ta process in a chroot may not", hint_of('{ "true", flags = "user" }', {
      under = after(('mount --rbind / %s; set -- chroot %s "$@"'):format(T, T)) }))
  end)

  root_it("that the init of the pid namespace has died", function()
    assert.matches("^ENOMEM\tout of memory, or the init of this pid namespace has died$",
      hint_of('{ "true" }', { before = 'ns.run { "true" }', under = { "unshare", "--pid" } }))
  end)

  root_it("that a limit of processes is reached", function()
    assert.matches("^EAGAIN\tRLIMIT_NPROC is reached, or a pids limit .-TasksMax=",
      hint_of('{ "true" }', { nobody = true, under = { "prlimit", "--nproc=1" } }))
  end)
end)

describe("a refused mount says", function()
  root_it("that a covered /proc is the cause, and the option of docker, podman and Kubernetes", function()
    local under = after("mount --bind /dev/null /proc/version; set -- " .. NOBODY)
    for _, spec in ipairs { '{ "true", flags = "user,pid,mount", mount_proc = true }',
      '{ "true", flags = "user,pid,mount", root = "empty", mounts = { { type = "proc" } } }' } do
      assert.matches("^EPERM\tthe /proc of this host is partly covered, at /proc/version; .*docker: [^;]*systempaths="
        .. "unconfined; podman: [^;]*unmask=ALL; Kubernetes: procMount: Unmasked", hint_of(spec, { under = under }))
    end
  end)

  it("that a filter may forbid it, and not that /proc is covered, which it is not", function()
    local spec = '{ "true", flags = "user,pid,ipc,mount", root = "empty", mounts = { { type = "%s" } } }'
    local options = { nobody = true, under = machine.refuse("EPERM", "fsopen") }
    for _, kind in ipairs { "proc", "mqueue" } do
      assert.matches("^EPERM\ta seccomp filter may forbid it", hint_of(spec:format(kind), options))
    end
  end)

  root_it("what covers the /proc by which user namespaces were to be forbidden", function()
    local spec = '{ "true", flags = "user%s", disable_userns = true }'
    local under = after("mount -t proc -o subset=pid proc /proc; mount -t tmpfs none /proc/1; set -- " .. NOBODY)
    assert.matches("^ENOENT\t.- no other can be mounted %(it needs 'pid' among the flags%): disable_userns = false$",
      hint_of(spec:format "", { under = under }))
    assert.matches("^ENOENT\t.- no other can be mounted %(the /proc of this host is partly covered, at /proc/1; ",
      hint_of(spec:format ",pid", { under = under }))
  end)

  user_it("that a file does not go onto a directory", function()
    local _, _, _, detail = ns.spawn { "true", flags = "user,mount", root = "/", mounts = {
      { type = "bind", source = "/etc/passwd", target = "/srv" } } }
    assert.equal("a directory goes onto a directory, a file onto a file", detail.hint)
  end)

  root_it("that a tree cannot have its ids mapped", function()
    local _, _, _, detail = ns.spawn { "true", flags = "user,mount", map = "range", root = "/", mounts = {
      { type = "bind", source = "/proc", target = "/srv", idmap = true } } }
    assert.matches("^the file system of /proc .- ro = true %(to read .- idmap = false %(to write", detail.hint)
    local spec = '{ "true", flags = "user,mount", map = "range", root = "/", mounts = {'
      .. '{ type = "bind", source = "/etc", target = "/srv", idmap = true } } }'
    assert.matches("^EPERM\tonly a root with CAP_SYS_ADMIN can map ids",
      hint_of(spec, { under = { "setpriv", "--bounding-set=-sys_admin" } }))
    for _, call in ipairs { "open_tree", "mount_setattr" } do
      assert.matches("^ENOSYS\tthis kernel %(before 5.12%), or a filter, cannot map ids: ro = true %(.- idmap = false %(",
        hint_of(spec, { under = machine.refuse("ENOSYS", call) }))
    end
  end)
end)

describe("a refusal says", function()
  root_it("that newuidmap is not installed", function()
    local T, remove = machine.directory()
    finally(remove)
    -- a /usr/bin of links, all but those two
    local line = ("mkdir -p %s/bin %s/all; mount --bind /usr/bin %s/all; ln -sf %s/all/* %s/bin; rm -f %s/bin/new?idmap; "
      .. "mount --bind %s/bin /usr/bin"):gsub("%%s", T)
    for _, map in ipairs { "uid_map", "gid_map" } do
      assert.equal("ENOENT\tinstall it: apt-get install uidmap", hint_of(('{ "true", flags = "user", %s = { { 0, 5, 1 } } }')
        :format(map), { under = after(line .. "; set -- " .. NOBODY) }))
    end
  end)

  it("that a terminal is none", function()
    local _, _, _, detail = ns.spawn { "true", tty = true, stdin = "null" }
    assert.equal("stdin is no terminal of this session", detail.hint)
  end)

  it("that a hard limit cannot be raised", function()
    assert.matches("^EPERM\tonly CAP_SYS_RESOURCE can raise a hard limit, and not from a user namespace",
      hint_of('{ "true", rlimits = { nofile = 200 } }',
      { nobody = true, under = { "prlimit", "--nofile=100:100" } }))
  end)

  it("which right it takes", function()
    for spec, hint in pairs {
      ['nice = -20'] = "EACCES\tonly CAP_SYS_NICE can raise a priority",
      ['ioprio = "realtime"'] = "EPERM\tonly CAP_SYS_NICE can raise a priority",
      ['scheduler = { policy = "rr", priority = 1 }'] = "EPERM\tonly CAP_SYS_NICE can raise a priority",
      ['oom_score_adj = -1000'] = "EACCES\tonly CAP_SYS_RESOURCE can lower it",
      ['user = 5'] = "EPERM\tneeds CAP_SETUID: with 'user' in the flags",
      ['group = 5'] = "EPERM\tneeds CAP_SETGID: with 'user' in the flags",
      ['groups = { 5 }'] = "EPERM\tneeds CAP_SETGID: with 'user' in the flags",
      ['securebits = "noroot"'] = "EPERM\tneeds CAP_SETPCAP: add 'user' to the flags",
    } do
      assert.equal(hint, hint_of(('{ "true", %s }'):format(spec), { nobody = true }):sub(1, #hint))
    end
  end)

  it("no right that is not needed", function()
    local under = machine.refuse("EPERM", "prctl=38")
    assert.matches("^EPERM\ta seccomp filter may forbid it",
      hint_of('{ "true", no_new_privs = true }', { nobody = true, under = under }))
  end)

  root_it("which capabilities the host has not itself", function()
    local under = { "setpriv", "--bounding-set=-net_raw,-sys_time", "--inh-caps=-all" }
    assert.equal("EPERM\tthis host has not net_raw, sys_time itself: add 'user' to the flags",
      hint_of('{ "true", caps = { "kill", "sys_time", "net_raw" } }', { under = under }))
  end)

  it("which processors there are", function()
    local _, _, _, detail = ns.spawn { "true", affinity = 8191 }
    assert.matches("^this host itself may use only the processors [%d,-]+$", detail.hint)
  end)

  machine.it("time")("how far a clock can be shifted", function()
    local _, message, _, detail = ns.spawn { "true", flags = machine.flags("time"), time = { monotonic = -1e9 } }
    assert.equal("ERANGE", detail.code, message)
    assert.matches("^a clock cannot be set to before the start of the machine", detail.hint)
  end)

  it("that a directory of PATH is closed, where no other has the program", function()
    local T, remove = machine.directory()
    finally(remove)
    os.execute(("mkdir -m 700 %s/own && chmod 700 %s"):format(T, T))
    local spec = ('{ "%%s", env = { PATH = "%s/own:/usr/bin:/bin" } }'):format(T)
    if machine.root then
      assert.equal(("EACCES\t%s/own is closed, and no other directory of PATH has it"):format(T),
        hint_of(spec:format("no-such-program"), { nobody = true }))
      assert.matches("^EACCES\tno shell reads this: ", hint_of(spec:format("echo hello"), { nobody = true }))
    end
    assert.equal("it runs", hint_of(spec:format("true"), { nobody = true }))
  end)

  user_it("which namespace a file system needs, where the host itself is in a user namespace", function()
    for kind, flags in pairs { proc = "pid", sys = "net", mqueue = "ipc" } do
      local spec = ('{ "true", flags = "mount", root = "empty", mounts = { { type = %q } } }'):format(kind)
      assert.matches(("^EPERM\ta new /%%S+ in a user namespace needs '%s' among the flags"):format(flags),
        hint_of(spec, { under = { "unshare", "--map-root-user" } }))
    end
  end)

  machine.it("sandbox")("what of a source is missing, and not that its target is wrong", function()
    local T, remove = machine.directory()
    finally(remove)
    machine.file(T .. "/file", "x")
    for source, hint in pairs { ["/file/x"] = "is below what is no directory", ["/no/such"] = "is not there" } do
      local _, message, _, detail = ns.box():unshare("user", "mount"):root("/"):ro_bind(T .. source, "/srv"):spawn("true")
      assert.matches("^its source .- " .. hint, detail.hint, message)
    end
    for _, lower in ipairs { T .. "/file", { T .. "/file", "/usr" } } do
      local _, message, _, detail = ns.sandbox():overlay(lower, "/x"):spawn("true")
      assert.equal(("its lower %s/file is no directory"):format(T), detail.hint, message)
    end
    local _, message, _, detail = ns.sandbox():remount("/usr/bin", { ro = true }):spawn("true")
    assert.equal("/usr/bin is no mount point: only a whole mount has attributes", detail.hint, message)
  end)

  machine.it("sandbox")("of a place that is there not that it is not", function()
    local _, message, _, detail = ns.sandbox():symlink("/etc/passwd", "x"):spawn("true")
    assert.truthy(detail.code == "EEXIST" or detail.hint == "/etc/passwd is there, and a link cannot lie over it", message)
    _, message, _, detail = ns.sandbox():symlink("/etc/nope", "x"):spawn("true")
    assert.matches("^/etc/nope is not there, and is not made", detail.hint, message)
    for _, box in ipairs { ns.sandbox():ro_bind("/etc", "/etc/passwd"), ns.sandbox():file("/tmp", "x") } do
      local _, why, _, refusal = box:spawn("true")
      assert.equal("a directory goes onto a directory, a file onto a file", refusal.hint, why)
    end
  end)

  user_it("that a directory leads out of the root", function()
    local f = assert(io.open("/usr"))
    local _, message, _, detail = ns.spawn { "true", flags = "user,mount,pid", root = "/", mount_proc = true,
      fds = { [5] = f }, cwd = "/proc/self/fd/5" }
    f:close()
    assert.equal("EXDEV", detail.code, message)
    assert.equal("it leads out of the program's root", detail.hint)
  end)
end)

describe("what an enemy has written #system", function()
  local T, remove

  before_each(function() T, remove = machine.directory() end)
  after_each(function() remove() end)

  local TITLE = "\27]0;owned\7\n\194\155x"

  local function check(message, detail)
    for _, text in ipairs { message, detail.hint or "" } do
      assert.falsy(text:find("[%z\1-\31\127]") or text:find("\194\155", 1, true), ("%q"):format(text))
      assert.truthy(#text < 2200, #text)
    end
    assert.matches("\\x1b%]0;owned\\x07\\x0a\\xc2\\x9bx", message)
  end

  machine.it("sandbox")("is no control sequence in a message, and has an end", function()
    local script = machine.file(T .. "/script", ("#!/no%s%s\n"):format(TITLE:gsub("\n", ""), ("y"):rep(90)), "755")
    local _, message, _, detail = ns.sandbox():ro_bind(script, "/tmp/script"):spawn("/tmp/script")
    check(message:gsub("\\x07", "\\x07\\x0a"), detail)
    assert.truthy(require("lfs").link("/no" .. TITLE .. ("/z"):rep(1500), T .. "/link", true))
    local box = ns.sandbox():ro_bind(T, "/tmp/t")
    _, message, _, detail = box:spawn("/tmp/t/link")
    check(message, detail)
    _, message, _, detail = box:ro_bind(T .. "/link", "/l"):spawn("true")
    check(message, detail)
    assert.equal(machine.root and T .. "/link" or "/l", detail.path)
    assert.falsy(box:explain("true"):find("\27", 1, true))
    local path = T .. "/" .. TITLE
    _, message, _, detail = ns.spawn { path }
    check(message, detail)
    assert.equal(path, detail.path) -- for programs
  end)
end)
