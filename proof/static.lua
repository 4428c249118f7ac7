--- What the compilers and analyzers have to say of the C code: nothing. And two laws of the launcher that grep can hold:
-- no C library, and no path of the new root but through places.c.
local proof = require "proof"
proof.needs("clang", "cppcheck")

local OUT = (os.getenv("BUILD") or "build") .. "/static"

local run = proof.sh

run("rm -rf %s && mkdir -p %s", OUT, OUT)

local function files(pattern)
  local _, text = run("ls %s", pattern)
  local list = {}
  for path in text:gmatch("%S+") do list[#list + 1] = path end
  return list
end

local CORE, LAUNCHER = files("src/core/*.c"), files("src/launcher/*.c")
local STRICT = "-std=gnu11 -Wall -Wextra -Wshadow -Wconversion -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes -Wvla"
local FREE = "-Os -ffreestanding"
local HOSTED = "-O2 -D_GNU_SOURCE -DLAUNCHER='\"x\"' -I/usr/include/lua%s"

-- The analyzer does not see what the instructions of a system call write, but knows that it can see into no other function.
local OPAQUE = OUT .. "/opaque.h"
do
  local f = assert(io.open(OPAQUE, "w"))
  f:write("long opaque(long, long, long, long, long, long, long);\n#define SYS_CALL opaque\n")
  f:close()
end

-- ---- findings ----

--- name, command; %s is the file. What takes a minute or more is of the long form.
local ANALYZERS = {
  { "gcc -Wconversion -fanalyzer", "gcc " .. STRICT .. " -fanalyzer {flags} -S -o /dev/null {file}", long = true },
  { "clang -Wconversion", "clang " .. STRICT .. " {flags} -fsyntax-only {file}" },
  { "clang --analyze", "clang --analyze --analyzer-output text {flags} -Xclang -analyzer-checker=alpha.core.SizeofPtr,"
    .. "alpha.unix.cstring,alpha.core.PointerArithm,nullability,valist -include " .. OPAQUE .. " {file}", long = true },
}

local function analyze(row, list, flags)
  local findings, asked = 0, 0
  for _, file in ipairs(list) do
    local command = row[2]:gsub("{(%w+)}", { flags = flags, file = file })
    local ok, text = run((command:gsub("%%", "%%%%")))
    asked = asked + 1
    if not proof.check(ok and text == "", "%s, %s: %s", row[1], file, text) then findings = findings + 1 end
  end
  return findings, asked
end

local function analyze_all(row)
  local findings, asked = analyze(row, LAUNCHER, FREE)
  for _, lua in ipairs(proof.size({ "5.4" }, { "5.1", "5.4" })) do
    local more, files_asked = analyze(row, CORE, HOSTED:format(lua))
    findings, asked = findings + more, asked + files_asked
  end
  proof.figure(row[1], "%d findings in %d files", findings, asked)
end

for _, row in ipairs(ANALYZERS) do
  if proof.long or not row.long then analyze_all(row) end
end

-- Structures as the kernel has them, whose fields are not all used; `while (again) continue;`, as it is written here.
local _, said = run("cppcheck -q --std=c11 --enable=warning,style,performance,portability --inline-suppr "
  .. "--suppress=unusedStructMember --suppress=redundantContinue --suppress=comparePointers -D__x86_64__ -D_GNU_SOURCE "
  .. "'-DLAUNCHER=\"x\"' src")
proof.check(said == "", "cppcheck: %s", said)
local _, count = said:gsub("\nsrc/", "")
proof.figure("cppcheck", "%d findings", count)

-- ---- the launcher has no C library ----

local function undefined(compiler, flags, list)
  local ok, text = run("%s -std=gnu11 %s -nostdlib -r -o %s/all.o %s && nm -u %s/all.o", compiler, flags, OUT,
    table.concat(list, " "), OUT)
  if not ok then return text end
  return (text:gsub("%s*U _GLOBAL_OFFSET_TABLE_\n", ""):gsub("%s*U __stack_chk_fail\n", ""))
end

local PLAYER, CHILD = {}, { "src/core/child.c" }
for _, file in ipairs(LAUNCHER) do
  if not file:find("start.c", 1, true) then
    PLAYER[#PLAYER + 1], CHILD[#CHILD + 1] = file, file
  end
end

local ALONE = FREE .. " -fno-stack-protector -fno-pic"
for _, level in ipairs(proof.size({ "-Os", "-O2" }, { "-O0", "-Os", "-O2", "-O3" })) do
  for _, row in ipairs { { LAUNCHER, ALONE, "the launcher" }, { PLAYER, "-fPIC", "the player in the module" },
    { CHILD, "-fPIC -D_GNU_SOURCE", "what runs in the host's memory" } } do
    local symbols = undefined("gcc", row[2] .. " " .. level, row[1])
    proof.check(symbols == "", "%s wants, at %s: %s", row[3], level, symbols)
  end
end

--- Headers: the kernel's, the compiler's and ours.
local _, headers = run("gcc -std=gnu11 -ffreestanding -M %s | tr -s ' \\\\' '\\n' | grep '\\.h$' | sort -u",
  table.concat(LAUNCHER, " "))
for path in headers:gmatch("%S+") do
  local known = path:find("^src/") or path:find("/linux/") or path:find("/asm[%w-]*/") or path:find("/lib/gcc/")
  proof.check(known, "the launcher includes %s", path)
end

-- ---- paths ----

--- Calls that take a path as it is, without a descriptor of a place: file, function, call -> why it may. All others go
-- through places.c, where no link leads out of the new root.
local PATHS = {
  ["fds.c op_close AT_FDCWD"] = "the directory of the host is closed with all others",
  ["init.c op_init chdir"] = "an init is in the root that it has",
  ["init.c ns_init chdir"] = "the same",
  ["filter.c supervise chdir"] = "the same",
  ["serve.c op_serve chdir"] = "the same",
  ["player.c start_player AT_FDCWD"] = "where relative sources begin: they are the host's, as the spec says them",
  ["mounts.c op_hold openat"] = "the same",
  ["mounts.c op_hold AT_FDCWD"] = "the same",
  ["mounts.c op_pivot pivot_root"] = "the root itself",
  ["mounts.c op_pivot umount2"] = "the old root, which is the working directory",
  ["mounts.c op_pivot chdir"] = "the root itself",
  ["old.c open_path openat"] = "the stage, or a mount by the descriptor of its tree",
  ["old.c old_fs mount"] = "the stage",
  ["old.c old_clone mount"] = "from a descriptor to the stage",
  ["old.c old_move mount"] = "from one descriptor to another",
  ["old.c old_close umount2"] = "the stage",
  ["old.c old_propagation mount"] = "a descriptor",
  ["text.c read_text openat"] = "files of /proc/self, before there is another /proc",
  ["old.c remount mount"] = "a descriptor",
  ["ops.c op_mount mount"] = "propagation of /, and mount_proc on the host's tree",
  ["ops.c open_path openat"] = "the files of /proc; of the host's own, where a mount namespace is joined",
  ["terminal.c op_pty openat"] = "after the pivot; the host takes nothing but the master of a terminal from it",
  ["children.c kill_listed openat"] = "the children in /proc, who are asked of waitid, too",
  ["overlay.c detach umount2"] = "a tree below an overlay, by its descriptor",
  ["resolve.c look_up openat"] = "sources are the host's, as the spec says them",
  ["mountinfo.c mount_below readlinkat"] = "a link of /proc/self, which says where a descriptor is",
  ["ops.c op_chdir chdir"] = "after the pivot",
  ["ops.c try_exec faccessat"] = "after the pivot",
  ["overlay.c open_layer AT_FDCWD"] = "directories of the host, as the spec says them",
  ["overlay.c op_overlay AT_FDCWD"] = "the same",
  ["places.c root_of openat"] = "the root itself",
}

local BARE = {}
for name in ([[mount umount2 chdir chroot pivot_root open creat mkdir rmdir unlink symlink link rename stat lstat access
  chmod readlink chown lchown mknod truncate]]):gmatch("%S+") do BARE[name] = true end

local function look(path, seen)
  local name, within = path:match("[^/]+$"), nil
  for line in io.lines(path) do
    within = line:match("^[%a_][%w_ *]-([%w_]+)%(.*{") or within
    local rest = line:gsub("__NR_([%w_]+), ?([%w_]*)", function(call, first)
      if BARE[call] or first == "AT_FDCWD" then seen(("%s %s %s"):format(name, within, call)) end
      return ""
    end)
    if rest:find("AT_FDCWD", 1, true) then seen(("%s %s AT_FDCWD"):format(name, within)) end
  end
end

local used = {}
for _, path in ipairs(LAUNCHER) do
  look(path, function(call)
    used[call] = true
    proof.check(PATHS[call], "a path that does not go through places.c: %s", call)
  end)
end
for call in pairs(PATHS) do proof.check(used[call], "this path is not there any more: %s", call) end
proof.finish()
