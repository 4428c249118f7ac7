--- Everything that can be a file, in every place where a path may stand: a start works, or is refused with the name of what
-- stood there; it never hangs.
local machine = require "support.machine"
local ns = require "ns"
local proof = require "proof"

local directory, remove = machine.directory()

assert(ns.run({ "sh", "-c", ([[
  cd %s && chmod 755 . && mkfifo -m 666 fifo && mkdir -m 777 directory upper work && echo x > file && chmod 777 file &&
  ln -s nowhere dangling && ln -s loop loop && ln -s fifo fifolink && ln -s directory dirlink && cp /bin/true program &&
  perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => "socket", Listen => 1) or die' && chmod 777 socket &&
  ln -s /dev/zero zero && ln -s /dev/tty tty && ln -s /dev/ptmx ptmx &&
  for thing in *; do printf '#!%%s/%%s\n' "$PWD" $thing > script-$thing; chmod 755 script-$thing; done
  printf '#!%%s/missing\n' "$PWD" > script-missing; chmod 755 script-missing; mkdir -m 755 hung]]):format(directory) }).ok)

--- What may stand there.
local THINGS = { "fifo", "socket", "file", "directory", "dangling", "loop", "missing", "fifolink", "dirlink", "zero", "tty",
  "ptmx", "program" }

--- In a host of its own, as root or not: a line for each place and thing. BASE is the spec that all start from, ONLY the
-- places that are tried.
local MATRIX = [==[
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
      mount[field] = list and { path, "/usr/lib" } or path
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
    { "lower, ro", outside({ type = "overlay", target = "/x", ro = true }, "lower", true) },
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
    for thing in (ONLY[place[1]] == OTHERS and THINGS or ""):gmatch("%%S+") do
      local writes = place[1]:find("^std%%l+") and place[1] ~= "stdin" and thing == "program" -- it would be one no more
      io.stderr:write(thing, " as ", place[1], "\n") -- the last one is what hangs
      local started = core.clock()
      local ok, p, message, errno, detail = pcall(ns.spawn, place[2](D .. "/" .. (writes and "file" or thing)))
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
      os.remove(D .. "/nowhere")
      os.remove(D .. "/missing")
      print(("%%s\t%%s\t%%.3f\t%%s"):format(place[1], thing, core.clock() - started, outcome:gsub("\n", " ")))
    end
  end
]==]

local SLOW = 1 + 1 -- the timeout, and a second

--- Runs the matrix and checks each line of it: the number of lines, which places have worked, the slowest.
local function run(title, values, options)
  values.DIRECTORY = ("%q"):format(directory)
  local code = MATRIX:gsub("%%%%", "%%"):gsub("%f[%u]%u%u%u%u+%f[%U]", values)
  options.timeout = 600
  local r = machine.host(code, options)
  local cases, worked, slowest = 0, {}, 0
  for place, thing, seconds, outcome in r.stdout:gmatch("([^\t\n]*)\t([%w/]+)\t([%d.]+)\t([^\n]*)\n") do
    cases = cases + 1
    slowest = math.max(slowest, tonumber(seconds))
    worked[place] = worked[place] or outcome == "works"
    proof.check(tonumber(seconds) < SLOW, "%s, %s as %s: took %s s: %s", title, thing, place, seconds, outcome)
    proof.check(outcome == "works" or outcome:find("^refused: "), "%s, %s as %s: %s", title, thing, place, outcome)
  end
  proof.check(r.ok, "%s: %s", title, tostring(r))
  proof.figure("files in places, " .. title, "%d cases, the slowest %.2f s", cases, slowest)
  return cases, worked
end

local BASES = not machine.root and { { "user", '{ flags = { "user", "pid", "mount" } }' } } or {
  { "root", '{ flags = { "pid", "mount" } }' },
  { "root, user namespace", '{ flags = { "user", "pid", "mount" }, map = "root" }' },
  { "root, range", '{ flags = { "user", "pid", "mount" }, map = "range", init = true }' },
  { "user", '{ flags = { "user", "pid", "mount" } }', nobody = true },
}

local function files() return ns.run({ "find", directory, "-printf", "%P %M %U %l\n" }).stdout end

--- Nothing is ever made in a directory of the host, and what is there is no mount: these cannot work.
local NEVER = { ["symlink target"] = true, ["remount target"] = true }

local before = files()
for _, base in ipairs(BASES) do
  local things = ("(%q)"):format(table.concat(THINGS, " "))
  local cases, worked = run(base[1], { BASE = base[2], ONLY = "({})", OTHERS = "nil", THINGS = things },
    { nobody = base.nobody })
  proof.check(cases == 28 * #THINGS, "%s: %d cases", base[1], cases)
  for place, ok in pairs(worked) do
    proof.check(ok == not NEVER[place], "%s: %s as %s", base[1], ok and "something works" or "nothing works", place)
  end
  local after = files()
  -- the overlay's own work directory is all that may have come
  after = after:gsub("[^\n]*/[^\n]*\n", function(line) return line:find("work", 1, true) and "" end)
  proof.check(after == before, "%s: the directory has changed from\n%s\nto\n%s", base[1], before, after)
end

-- ---- a file system whose server does not answer: what the launcher looks up there ends at the deadline ----

local hung = directory .. "/hung.bin"
assert(ns.run({ "gcc", "-o", hung, "proof/hung.c" }).ok)
local under = { "unshare", "--mount", "--propagation", "private", hung, directory .. "/hung" }
local try = machine.root and machine.host("io.write 'fine'", { under = under }) or { stdout = "", stderr = "needs root" }
if try.stdout == "fine" then
  local only = '({ cwd = true, program = true, PATH = true, mount_proc = true, ["bind source"] = true, lower = true })'
  local base = '{ flags = { "pid", "mount" }, init = true }'
  run("no answer", { BASE = base, ONLY = only, OTHERS = "true", THINGS = '"hung/x"' }, { under = under })
else
  proof.skip("a file system that does not answer: %s", try.stderr)
end

remove()
proof.finish()
