--- Archives are unpacked by GNU tar in a sandbox that has one directory of the host's to write: whatever an archive makes
-- tar do, it is done there. What overlays want of a layer is done to it afterwards, in such a box, too.
-- @module ns.image.unpack
require("ns.core").nojit()
local box = require "ns.box"
local changes = require "ns.running.changes"
local core = require "ns.core"
local process = require "ns.running.process"
local sandbox = require "ns.sandbox"
local stdio = require "ns.words.stdio"

local unpack = {}

local EINVAL = core.constants.errno.EINVAL

-- By the first bytes: what makes a tar of it.
local PACKED = { { "^\31\139", "gzip" }, { "^%(\181/\253", "zstd" }, { "^\2537zXZ", "xz" }, { "^BZh", "bzip2" } }

local function fail(text, ...) error({ message = text:format(...), errno = EINVAL }, 0) end

--- A sandbox that can write one directory, with the rights over what is in it that tar needs.
local function box_for(directory, lowers)
  local is_root = core.ids().euid == 0
  local b = box.over(sandbox.spec(), nil, "sandbox")
  b:caps { "chown", "dac_override", "fowner", "fsetid", "setfcap", "mknod" }
  if not is_root then b:map "auto" end
  b:bind(directory, "/layer", { idmap = is_root or nil })
  for i, path in ipairs(lowers or {}) do b:ro_bind(path, "/lower/" .. i, { idmap = is_root or nil }) end
  return b
end

-- Bytes, at the most: of names that the box says; of memory for each program that unpacks.
local NAMES, MEMORY = 2 ^ 24, 2 ^ 30

-- $1: what unpacks; $2: the most bytes, $3: entries, $4: bytes of names; the rest: tar's options. It says which directories,
-- and which names of whiteouts, the archive has; which directories there are now; and how all has ended. Names are made
-- short, and said once; of tar's complaints of one kind, the first.
local LINE = [[
  export LC_ALL=C XZ_DEFAULTS=-T1
  packed=$1 most=$2 entries=$3 names=$4; shift 4; cd /tmp && mkfifo sum.in count.in said.in || exit 1
  sha256sum <sum.in >sum & wc -c <count.in >count &
  awk '{ kind = $0; sub(/^.*: Cannot/, "", kind); gsub(/[0-9]+/, "", kind) } !seen[kind]++' <said.in >&2 &
  { if [ "$packed" = cat ]; then cat; else "$packed" -dc; fi; echo $? >unpacked; } | head -c "$most" | tee sum.in count.in |
    { tar "$@" -C /layer -xpvf - 2>said.in; echo $? >tar; cat >/dev/null; } |
    awk -v entries="$entries" -v names="$names" '
      NR > entries { exit }
      /\/$/ || /\.wh\./ { gsub(/\/(\.\/)+/, "/"); if (!seen[$0]++ && (bytes += length($0) + 1) <= names) print }
      bytes > names { exit }
      END { print (NR > entries ? "entries" : bytes > names ? "names" : "whole") >"ended" }'
  wait; echo; cd /layer && find . -type d -print | head -c "$((names + 1))"
  echo "end: $(cat /tmp/tar /tmp/unpacked /tmp/count | tr '\n' ' ') $(cut -d' ' -f1 /tmp/sum) $(cat /tmp/ended)" >&2]]

local TAR = { "--numeric-owner", "--warning=no-unknown-keyword", "--warning=no-timestamp", "--xattrs",
  "--xattrs-include=user.*", "--xattrs-include=security.capability", "--xattrs-exclude=*.overlay.*" }

-- What tar cannot do for want of rights, and the layer is good without.
local FORGIVEN = { { ": Cannot mknod: Operation not permitted$", "a device is left out" },
  { ": Cannot change ownership to uid %d+, gid %d+: Invalid argument$", "owners that have no id here are lost" },
  { "^tar: Exiting with failure status", nil }, { "^tar: Removing leading `/' from ", nil } }

--- The notes of what tar says; a mistake where it is nothing that can be forgiven.
local function forgive(said)
  local notes, seen = {}, {}
  for line in said:gmatch("[^\n]+") do
    local known
    for _, row in ipairs(FORGIVEN) do known = known or line:find(row[1]) and row end
    if not known then fail("%s", line:sub(1, 300)) end
    if known[2] and not seen[known[2]] then notes[#notes + 1] = known[2] end
    seen[known[2] or ""] = true
  end
  return notes
end

local ESCAPES = { n = "\n", t = "\t", r = "\r", a = "\a", b = "\b", f = "\f", v = "\v", ["\\"] = "\\" }

--- A name as tar says it, as it is on disk, below the layer.
local function unquote(name)
  name = name:gsub("\\(.)(%d?%d?)", function(c, rest)
    if c:find("%d") then return string.char(tonumber(c .. rest, 8)) end
    return (ESCAPES[c] or c) .. rest
  end)
  return (name:gsub("^[./]*/", ""):gsub("/+$", ""))
end

--- The first bytes of a file beneath a directory.
local function head(bag, top, path)
  local fd, message, errno = core.layer_file(bag, top, path)
  if not fd then error({ message = ("%s: %s"):format(path, message), errno = errno }, 0) end
  local f = assert(bag:file(fd, "r"))
  local text = f:read(6) or ""
  f:close()
  return text
end

local function packed_by(text)
  for _, row in ipairs(PACKED) do
    if text:find(row[1]) then return row[2] end
  end
  return "cat"
end

--- How far a descriptor has been read, by whoever has it.
local function position(fd)
  local f = io.open(("/proc/self/fdinfo/%d"):format(fd))
  local text = f and f:read "*a" or ""
  if f then f:close() end
  return tonumber(text:match "pos:%s*(%d+)") or 0
end

local LOOK = 0.1 -- seconds between two looks at how far it is

--- Runs a program that reads the descriptor `fd` to its end, and says meanwhile how far it is: progress(bytes).
local function watched(b, words, fd, progress)
  local p, message, errno = b:spawn(stdio.collected(words))
  if not p then return nil, message, errno end
  local ok, r, why, code = pcall(function()
    local x = process.exchange(p)
    repeat
      local over = process.advance(p, x, LOOK)
      progress(position(fd))
    until over
    return process.finish(p, x)
  end)
  p:close()
  if not ok then error(r, 0) end
  return r, why, code
end

-- What programs say that have no memory left.
local NO_MEMORY = { "^tar: memory exhausted$", "^tar: .*: Cannot allocate memory$", "^%l+: [^:]*out of memory",
  "^xz: .*[Mm]emory", "^zstd: .*memory", "^bzip2: .*memory" }

--- The mistake of an archive for which there is not enough.
local function check_memory(said, path)
  for line in said:gmatch("[^\n]+") do
    for _, pattern in ipairs(NO_MEMORY) do
      if line:find(pattern) then
        fail("%s needs more than %.0f MiB of memory to be unpacked: %s", path, MEMORY / 2 ^ 20, line:sub(1, 300))
      end
    end
  end
end

--- Unpacks the archive that is the file `path` beneath `top` into a directory: what was said of names, the notes, and the
-- digest of the tar. `most`: { size = bytes, entries = }; `foreign`: owners do not matter; `progress`, if it is there: told
-- how many bytes of how many of the archive have been read.
local function extract(directory, top, path, most, foreign, progress)
  local bag = core.bag()
  local packed = packed_by(head(bag, top, path))
  local fd, why = core.layer_file(bag, top, path)
  if not fd then fail("%s: %s", path, why) end
  local argv = { "sh", "-c", LINE, "sh", packed, ("%.0f"):format(most.size + 1), ("%.0f"):format(most.entries),
    ("%.0f"):format(NAMES) }
  for _, option in ipairs(TAR) do argv[#argv + 1] = option end
  if foreign then argv[#argv + 1] = "--no-same-owner" end
  argv.stdin, argv.rlimits, argv.max_output = fd, { fsize = most.size, as = MEMORY }, 3 * NAMES
  local entry = progress and core.layer_entry(top, path)
  local ok, r, message, errno = pcall(watched, box_for(directory), argv, fd, function(bytes)
    if entry then progress(bytes, entry.size) end
  end)
  bag:close()
  if not ok then error(r, 0) end
  if not r then error({ message = message, errno = errno }, 0) end
  local said, tar, unpacked, count, sum, ended = r.stderr:match("^(.-)end: (%d+) (%d+) (%d+)%s+(%x+) (%l+)\n$")
  if ended == "entries" then fail("%s has more than %.0f entries: max_entries", path, most.entries) end
  if ended == "names" or r.truncated or #r.stdout > 2 * NAMES then
    fail("the names of the directories of %s are too long", path)
  end
  if not said then fail("%s", r.stderr:match("[^\n]+") or tostring(r)) end
  if tonumber(count) > most.size then
    fail("%s is more than %.0f bytes when it is unpacked: max_size", path, most.size)
  end
  if unpacked ~= "0" or tar ~= "0" then check_memory(said, path) end
  local packer = said:match("[^\n]*" .. packed .. ": [^\n]*\n")
  if unpacked ~= "0" then fail("%s", packer or "it cannot be unpacked") end
  if tar == "0" then forgive(said:gsub("tar: [^\n]*\n", "")) end
  return r.stdout, tar == "0" and {} or forgive(said), sum
end

--- In the box: the names of whiteouts become what overlays know, and directories that were only made on the way to others
-- are as those below.
local function finish(whiteouts, made, count)
  local lowers = {}
  for i = 1, count do lowers[i] = "/lower/" .. i end
  for _, path in ipairs(made) do
    local below = changes.below(lowers, path)
    if below and below.type == "directory" then core.layer_dress("/layer", path, below.mode, below.uid, below.gid) end
  end
  for _, path in ipairs(whiteouts) do
    local directory, hidden = path:match("^(.-)/?%.wh%.([^/]*)$")
    if hidden == "" or hidden == "." or hidden == ".." then error("unsafe name " .. path, 0) end
    local entry = core.layer_entry("/layer", path)
    if entry and entry.type ~= "directory" then assert(os.remove("/layer/" .. path)) end
    local name = (directory == "" and "" or directory .. "/") .. hidden
    if hidden == ".wh..opq" then
      assert(core.layer_cover("/layer", directory))
    elseif entry and hidden:sub(1, 4) ~= ".wh." then
      local there = core.layer_entry("/layer", name)
      if not there then assert(core.layer_hide("/layer", name)) end
      if there and there.type == "directory" then assert(core.layer_cover("/layer", name)) end
    end
  end
  return true
end

--- Makes a layer of an archive: the notes, and the digest of the tar. `lowers`: the layers below, the uppermost first.
-- Raises { message, errno }.
function unpack.layer(directory, top, path, most, foreign, lowers, progress)
  local out, notes, sum = extract(directory, top, path, most, foreign, progress)
  local has, whiteouts, made, is_there = { [""] = true }, {}, {}, false
  for line in out:gmatch("([^\n]*)\n") do
    local name = is_there and line:sub(3) or unquote(line)
    if line == "" then
      is_there = true
    elseif is_there then
      if line ~= "." and not has[name] then made[#made + 1] = name end
    else
      if line:sub(-1) == "/" then has[name] = true end
      if name:match("[^/]*$"):sub(1, 4) == ".wh." then whiteouts[#whiteouts + 1] = name end
    end
  end
  if #whiteouts == 0 and (#made == 0 or #lowers == 0) then return notes, sum end
  local ok, message, errno = box_for(directory, lowers):call(finish, whiteouts, made, #lowers)
  if not ok then error({ message = message, errno = errno or EINVAL }, 0) end
  return notes, sum
end

--- Unpacks an archive that has an image in it, for reading.
function unpack.archive(directory, top, path, most, progress)
  extract(directory, top, path, most, true, progress)
end

return unpack
