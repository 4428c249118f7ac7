--- A throw-away root shell: root's rights inside, a system that can be changed, and nothing of it is left at the end.
-- usage: lua root_shell.lua [-i] [DIRECTORY ...]
--   DIRECTORY: is there too, as a copy on write; the shell starts in the first one
--   -i: an interactive bash instead of the tour
local ns = require "ns"

local TOUR = { "id -un", "pwd", "rm -rf ./* && ls -A", "mkdir /new && mount -t tmpfs none /new && stat -f -c %T /new",
  "hostname elsewhere && hostname", "ps -A -o pid,comm" }

local box = ns.sandbox():hostname("throwaway"):caps { "all" }:no_new_privs(false):read_only(false)
  :tmpfs("/root"):tmpfs("/run"):tmpfs("/var/tmp", { mode = 1023 }):dir("/mnt") -- 01777
  :env { HOME = "/root", TERM = os.getenv("TERM") or "dumb" }

-- The system as a copy on write, where its file system allows it. An ordinary user cannot change root's files there.
local whole = box:clone():overlay("/etc"):overlay("/usr")
if whole:check("sh") then box = whole end

local interactive, directories = false, {}
for _, word in ipairs(arg) do
  if word == "-i" then interactive = true else directories[#directories + 1] = word end
end
for _, directory in ipairs(directories) do box:overlay(directory) end
box:cwd(directories[1] or "/root")

local p
if interactive then
  -- The shell gets this terminal. A program that you do not trust should have one of its own: the word `pty`.
  p = assert(box:session(false):tty():spawn("/bin/bash"))
else
  local each = [[for line; do echo "# $line"; eval "$line"; done]]
  p = assert(box:spawn("sh", "-c", each, "sh", (table.unpack or unpack)(TOUR)))
end
local _, how, code = p:wait()
print("The shell has ended, and with it all that it has changed.")
os.exit(how == "exit" and code or 128 + code)
