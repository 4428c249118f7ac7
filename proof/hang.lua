--- Everything that can be a file, in every place where a path may stand: a start works, or is refused with the name of what
-- stood there; it never hangs.
local machine = require "support.machine"
local ns = require "ns"
local proof = require "proof"

local directory, remove = machine.directory()

--- What may be there. `hung` is a file system whose server does not answer (proof/hung.c).
assert(ns.run({ "sh", "-c", ([[
  cd %s && chmod 755 . && mkfifo -m 666 fifo && mkdir -m 777 directory upper work && echo x > file && chmod 777 file &&
  ln -s nowhere dangling && ln -s loop loop && ln -s fifo fifolink && ln -s directory dirlink && cp /bin/true program &&
  perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => "socket", Listen => 1) or die' && chmod 777 socket &&
  for thing in fifo socket file directory dangling loop missing fifolink dirlink; do
    printf '#!%%s/%%s\n' "$PWD" $thing > script-$thing; chmod 755 script-$thing
  done
  ln -s /dev/zero zero; ln -s /dev/tty tty; ln -s /dev/ptmx ptmx
  for thing in zero tty ptmx; do printf '#!%%s/%%s\n' "$PWD" $thing > script-$thing; chmod 755 script-$thing; done]])
  :format(directory) }).ok)

local THINGS = { "fifo", "socket", "file", "directory", "dangling", "loop", "missing", "fifolink", "dirlink", "zero", "tty",
  "ptmx" }

--- In a host of its own, as root or not: a line for each place and thing. BASE is the spec that all start from.
local MATRIX = [[
  local core, ns = require "ns.core", require "ns"
  local D, base = DIRECTORY, BASE
  local function with(words)
    return function(path)
      local spec = { "true", timeout = 1, grace = 0.1, stdin = "null", stdout = "null", stderr = "null" }
      for _, list in ipairs { base, words(path) } do
        for k, v in pairs(list) do spec[k] = v end
      end
      return spec
    end
  end
  --- The thing as a target: beneath a root of our own, in which D is bound at /d.
  local function inside(mount)
    return with(function(path)
      mount.target = path:gsub("^.*/", "/d/")
      return { root = "empty", system = true, mounts = { { type = "bind", source = D, target = "/d" }, mount } }
    end)
  end
  local function outside(mount, field, list)
    return with(function(path)
      mount[field] = list and { path } or path
      return { root = "empty", system = true, mounts = { mount } }
    end)
  end
  local places = {
    { "stdin", with(function(path) return { stdin = { path = path } } end) },
    { "stdout", with(function(path) return { stdout = { path = path } } end) },
    { "stdout, append", with(function(path) return { stdout = { path = path, append = true } } end) },
    { "stderr", with(function(path) return { stderr = { path = path } } end) },
    { "cwd", with(function(path) return { cwd = path } end) },
    { "program", with(function(path) return { path } end) },
    { "script", with(function(path) return { (path:gsub("/([^/]*)$", "/script-%1")) } end) },
    { "PATH", with(function(path) return { env = { PATH = path .. ":/usr/bin:/bin" } } end) },
    { "root", with(function(path) return { root = path, system = true } end) },
    { "mount_proc", with(function(path) return { mount_proc = path } end) },
    { "bind source", outside({ type = "bind", target = "/x" }, "source") },
    { "ro_bind source", outside({ type = "bind", target = "/x", ro = true }, "source") },
    { "bind source, try", outside({ type = "bind", target = "/x", try = true }, "source") },
    { "lower", outside({ type = "overlay", target = "/x" }, "lower") },
    { "lower, ro", outside({ type = "overlay", target = "/x", ro = true, lower = 0 }, "lower") },
    { "upper", outside({ type = "overlay", target = "/x", lower = "/usr/lib", work = D .. "/work" }, "upper") },
    { "work", outside({ type = "overlay", target = "/x", lower = "/usr/lib", upper = D .. "/upper" }, "work") },
    { "bind target", inside { type = "bind", source = "/etc" } },
    { "file bind target", inside { type = "bind", source = "/etc/passwd" } },
    { "tmpfs target", inside { type = "tmpfs" } },
    { "proc target", inside { type = "proc" } },
    { "dev target", inside { type = "dev" } },
    { "file target", inside { type = "file", data = "x" } },
    { "dir target", inside { type = "dir" } },
    { "symlink target", inside { type = "symlink", to = "x" } },
    { "mask target", inside { type = "mask" } },
    { "remount target", inside { type = "remount", ro = true } },
    { "overlay target", inside { type = "overlay", lower = "/usr/lib" } },
  }
  for _, place in ipairs(places) do
    for thing in THINGS:gmatch("%%S+") do
      local started = core.clock()
      local ok, p, message, errno, detail = pcall(ns.spawn, place[2](D .. "/" .. thing))
      local outcome = "works"
      if not ok then
        outcome = "raised: " .. tostring(p)
      elseif not p then
        local named = detail and detail.step and (detail.word or detail.path) and errno and #message > 10
        outcome = (named and "refused: " or "without a name: ") .. message
      else
        p:wait()
        if p.timed_out then outcome = "ran until its timeout" end
        p:close()
      end
      print(("%%s\t%%s\t%%.3f\t%%s"):format(place[1], thing, core.clock() - started, outcome:gsub("\n", " ")))
    end
  end
]]

local SLOW = 1 + 1 -- the timeout, and a second

local BASES = {
  { "root", '{ flags = { "pid", "mount" } }' },
  { "root, user namespace", '{ flags = { "user", "pid", "mount" }, map = "root" }' },
  { "root, range", '{ flags = { "user", "pid", "mount" }, map = "range", init = true }' },
  { "user", '{ flags = { "user", "pid", "mount" } }', nobody = true },
}

for _, base in ipairs(BASES) do
  local values = { DIRECTORY = ("%q"):format(directory), BASE = base[2], THINGS = ("(%q)"):format(table.concat(THINGS, " ")) }
  local code = MATRIX:gsub("%%%%", "%%"):gsub("%f[%u]%u%u%u%u+%f[%U]", values)
  local r = machine.host(code, { nobody = base.nobody, timeout = 600 })
  local cases, worked, slowest = 0, {}, 0
  for place, thing, seconds, outcome in r.stdout:gmatch("([^\t\n]*)\t(%w+)\t([%d.]+)\t([^\n]*)\n") do
    cases = cases + 1
    slowest = math.max(slowest, tonumber(seconds))
    worked[place] = worked[place] or outcome == "works"
    proof.check(tonumber(seconds) < SLOW, "%s, %s as %s: took %s s: %s", base[1], thing, place, seconds, outcome)
    proof.check(outcome == "works" or outcome:find("^refused: "), "%s, %s as %s: %s", base[1], thing, place, outcome)
    if os.getenv("VERBOSE") then print(base[1], place, thing, seconds, outcome) end
  end
  proof.check(r.ok and cases == 28 * #THINGS, "%s: %d cases: %s", base[1], cases, tostring(r))
  local never = {}
  for place, ok in pairs(worked) do
    if not ok then never[#never + 1] = place end
  end
  proof.check(#never == 0, "%s: nothing works as %s", base[1], table.concat(never, ", "))
  proof.figure("files in places, " .. base[1], "%d cases, the slowest %.2f s", cases, slowest)
end

remove()
proof.finish()
