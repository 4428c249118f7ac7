--- What goes over a link of a network (`ns.net`), by tcpdump(8), which runs where the switches are.
-- @module ns.net.capture
require("ns.core").nojit()
local box = require "ns.box"
local core = require "ns.core"
local errors = require "ns.start.errors"

local net_capture = {}

local SECONDS = 10 -- until it listens

--- Why it does not listen: the last that it has said.
local function refused(p, file, said)
  p:kill "KILL"
  p:wait()
  p:close()
  os.remove(file)
  local last = table.concat(said):match "([^\n]+)\n*$"
  return errors.refused({ op = "exec", data = "tcpdump", hint = last }, core.constants.errno.EIO)
end

--- Reads what it says until it listens.
local function await(p, file)
  local said, deadline = {}, core.clock() + SECONDS
  while core.clock() < deadline do
    local line = p.stderr:read "*L"
    if not line then return refused(p, file, said) end
    said[#said + 1] = line
    if line:find("listening on", 1, true) then return p end
  end
  return refused(p, file, said)
end

--- Where tcpdump is; it may lie where only root's PATH leads. nil where it is not installed.
local function find()
  for directory in ((os.getenv "PATH" or "/usr/bin") .. ":/usr/sbin:/sbin"):gmatch "[^:]+" do
    local path = directory .. "/tcpdump"
    if path:sub(1, 1) == "/" and core.access(path, 1) then return path end
  end
end

--- Writes what goes over a link to a file: the Process, when it listens; or nil, message, errno, detail.
function net_capture.start(self, link, file, filter)
  local tcpdump = find()
  if not tcpdump then
    return errors.refused({ op = "exec", data = "tcpdump", hint = "it is not installed" }, core.constants.errno.ENOENT)
  end
  local port = link.ends[1].port or link.ends[2].port
  local words = { tcpdump, "-i", port.name, "-n", "-U", "--immediate-mode", "-Z", "root", "-w", "-", filter }
  words.stdin, words.stdout, words.stderr = "null", { path = file }, "pipe"
  -- As root it sets its groups, which nobody may in a user namespace that an ordinary user has made: it is told that it has.
  words.seccomp = { default = "allow", deny = { "setgroups" }, errno = 0 }
  words.join = { from = self.fabric.container, "user", "net" }
  local p, message, errno, detail = box.over({}, words, "capture"):spawn()
  if not p then return nil, message, errno, detail end
  return await(p, file)
end

return net_capture
