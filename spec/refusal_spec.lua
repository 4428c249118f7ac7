--- What the system refuses is returned: nil, message, errno, detail, which name the step and what it is about.
local core = require "ns.core"
local errno = core.constants.errno
local machine = require "support.machine"
local ns = require "ns"

local T, remove -- a directory with a few things to trip over

setup(function()
  T, remove = machine.directory()
  os.execute(("mkdir -p %s/dir %s/root && ln -s nowhere %s/dangling"):format(T, T, T))
  machine.file(T .. "/file", "a file\n", "644")
  machine.file(T .. "/two", "two\n", "644")
  machine.file(T .. "/text", "echo hi\n", "755")
end)
teardown(function() remove() end)

--- A spec from its row: T stands for the directory in all its strings.
local function filled(value)
  if type(value) == "string" then return (value:gsub("^T/", T .. "/")) end
  if type(value) ~= "table" then return value end
  local result = {}
  for k, v in pairs(value) do result[k] = filled(v) end
  return result
end

local FLAGS = machine.root and "mount" or "user,mount"

-- directories that every user may look into
local PATH = { PATH = "/usr/bin:/bin" }

local function tree(...) return { "true", flags = FLAGS, root = "/", mounts = { ... } } end

local ROWS = {
  { "a program that is a directory", { "T/dir" }, "exec", "EACCES", "T/dir" },
  { "a program that is not executable", { "T/file" }, "exec", "EACCES", "T/file" },
  { "a program that is not there", { "T/nope" }, "exec", "ENOENT", "T/nope" },
  { "a program that is nowhere in PATH", { "no-such-program", env = PATH }, "exec", "ENOENT", "no-such-program" },
  { "a program below a file", { "T/file/x" }, "exec", "ENOTDIR", "T/file/x" },
  { "a program behind a dangling link", { "T/dangling" }, "exec", "ENOENT", "T/dangling" },
  { "a program whose name starts with -", { "--version", env = PATH }, "exec", "ENOENT", "--version" },
  { "a program with too long a name", { ("x"):rep(5000) }, "exec", "ENAMETOOLONG", ("x"):rep(5000) },
  { "a text without #!, for which no shell is tried", { "T/text" }, "exec", "ENOEXEC", "T/text" },
  { "a working directory that is not there", { "true", cwd = "T/nope" }, "chdir", "ENOENT", "T/nope" },
  { "a working directory that is a file", { "true", cwd = "T/file" }, "chdir", "ENOTDIR", "T/file" },
  { "a file for stdin that is not there", { "true", stdin = { path = "T/nope" } }, "open", "ENOENT", "T/nope", "stdin" },
  { "a file for stdout in no directory", { "true", stdout = { path = "T/no/x" } }, "open", "ENOENT", "T/no/x", "stdout" },
  { "a directory as stderr", { "true", stderr = { path = "T/dir" } }, "open", "EISDIR", "T/dir", "stderr" },
  { "a descriptor above the limit", { "true", fds = { [1048575] = 0 } }, "dup", "EBADF", nil, "fds[1048575]" },
  { "a root that is not there", { "true", flags = "user,mount", root = "T/nope" }, "open", "ENOENT", "T/nope", "root" },
  { "a root that is a file", { "true", flags = "user,mount", root = "T/file" }, "open", "ENOTDIR", "T/file", "root" },
  { "a root that is a dangling link", { "true", flags = "user,mount", root = "T/dangling" }, "open", "ENOENT",
    "T/dangling", "root" },
  { "a source that is not there", tree { type = "bind", source = "T/nope", target = "/srv" }, "tree", "ENOENT", "/srv" },
  { "a source that root opens, and is not there", { "true", flags = "user,mount", root = "/", mounts = {
    { type = "bind", source = "T/nope", target = "/srv" } } }, machine.root and "open_tree" or "tree", "ENOENT",
    machine.root and "T/nope" or "/srv" },
  { "a file onto a directory", tree { type = "bind", source = "T/file", target = "/srv" }, "tree", "EINVAL", "/srv" },
  { "a directory onto a file", tree { type = "bind", source = "T/dir", target = "/etc/passwd" }, "tree", "ENOTDIR",
    "/etc/passwd" },
  { "a target below a file", tree { type = "tmpfs", target = "/etc/passwd/x" }, "fs", "ENOTDIR", "/etc/passwd/x" },
  { "a target that nobody made, on the host's file system", tree { type = "tmpfs", target = "/usr/nope" }, "fs", "EROFS",
    "/usr/nope" },
  { "a link where there is something", tree { type = "symlink", target = "/srv", to = "x" }, "symlink", "EEXIST", "/srv" },
  { "a lower that is not there", tree { type = "overlay", lower = "T/nope", target = "/srv" }, "overlay", "ENOENT", "/srv" },
}

describe("refused, with step and object, is", function()
  for _, row in ipairs(ROWS) do
    local title, spec, step, code, path, word = row[1], row[2], row[3], row[4], row[5], row[6]
    machine.it("user")(title, function()
      local p, message, number, detail = ns.spawn(filled(spec))
      assert.is_nil(p)
      assert.equal(code, detail.code)
      assert.same({ step, errno[code], errno[code] }, { detail.step, detail.errno, number })
      assert.equal(filled(path), detail.path)
      assert.truthy(message:find(("%s (%s)"):format(core.strerror(number), code), 1, true), message)
      if path then assert.truthy(message:find(filled(path):sub(1, 900), 1, true), message) end -- a message has an end
      local words = { exec = "argv", chdir = "cwd" }
      assert.equal(word or words[step] or "mounts", detail.word)
    end)
  end

  machine.root_it("a change of ids that an ordinary user may not make", function()
    local r = machine.host([[
      local ns = require "ns"
      for _, spec in ipairs { { "true", user = 5 }, { "true", group = 5 }, { "true", oom_score_adj = -1000 } } do
        local _, message, _, detail = ns.spawn(spec)
        print(message:match("^[^;]*"), detail.word)
      end
    ]], { nobody = true })
    assert.equal("setuid 5: Operation not permitted (EPERM)\tuser\nsetgid 5: Operation not permitted (EPERM)\tgroup\n"
      .. "write /proc/self/oom_score_adj: Permission denied (EACCES)\toom_score_adj\n", r.stdout .. r.stderr)
  end)
end)

describe("not refused is", function()
  local can = machine.it("user")

  can("a source that is not there, where it is only to be tried", function()
    local spec = tree({ type = "bind", source = "T/nope", target = "/srv", try = true })
    assert.is_true(ns.run(filled(spec)).ok)
  end)

  can("a second mount on one target: the later is over the earlier", function()
    local r = ns.run { "sh", "-c", "cat /x; ls /y", flags = FLAGS, root = "empty", system = true, mounts = {
      { type = "bind", source = T .. "/file", target = "/x" }, { type = "bind", source = T .. "/two", target = "/x" },
      { type = "bind", source = T, target = "/y" }, { type = "tmpfs", target = "/y" } } }
    assert.equal("two\n", r.stdout .. r.stderr)
  end)

  can("a file onto a file, nor a directory onto a directory", function()
    local r = ns.run { "sh", "-c", "cat /etc/hostname /srv/file", flags = FLAGS, root = "/", mounts = {
      { type = "bind", source = T .. "/file", target = "/etc/hostname" }, { type = "bind", source = T, target = "/srv" } } }
    assert.equal("a file\na file\n", r.stdout .. r.stderr)
  end)

  it("a relative directory, or program, outside of a root of its own", function()
    local lfs = require "lfs"
    local before = lfs.currentdir()
    finally(function() lfs.chdir(before) end)
    lfs.chdir(T)
    machine.file(T .. "/dir/prog", "#!/bin/sh\npwd\n", "755")
    assert.equal(T .. "/dir\n", ns.run({ "pwd", cwd = "dir" }).stdout)
    assert.equal(T .. "\n", ns.run({ "dir/prog" }).stdout)
    assert.equal(T .. "/dir\n", ns.run({ "./prog", cwd = "dir" }).stdout)
  end)
end)

describe("a refusal", function()
  it("reads well with assert, on every Lua", function()
    local r = machine.host [[print(pcall(function() assert(require("ns").spawn { "/nope" }) end))]]
    assert.equal("false\t(command line):1: exec '/nope': No such file or directory (ENOENT)\n", r.stdout)
  end)

  it("has the hint at the end of the message, and beside it", function()
    local _, message, _, detail = ns.spawn { T .. "/dir" }
    assert.equal(T .. "/dir is a directory", detail.hint)
    assert.equal(("exec '%s/dir': Permission denied (EACCES); %s"):format(T, detail.hint), message)
  end)

  it("is the same from run, from check and from a box", function()
    local _, spawned, number, detail = ns.spawn { "/nope" }
    for _, f in ipairs { ns.run, ns.check, function(spec) return ns.box(spec):spawn() end } do
      assert.same({ nil, spawned, number, detail }, { f { "/nope" } })
    end
  end)
end)
