--- `docker run`, in a script: an image, a command, and what may be seen of the host.
-- usage: lua docker_run.lua [-v DIRECTORY:PLACE] [-e NAME=VALUE] [-w DIRECTORY] [--network host] IMAGE [PROGRAM ...]
--   IMAGE is what ns.image knows: alpine, docker://HOST/NAME:TAG, oci:DIRECTORY:TAG, docker-archive:FILE, the path of a tar.
--   Without arguments a small image is made of busybox, unpacked, shown and removed.
local ns = require "ns"
local unpack = table.unpack or unpack -- luacheck: ignore

local function fail(message)
  io.stderr:write("docker_run: ", message, "\n")
  os.exit(125)
end

--- The options, and the rest: what each does to a box.
local OPTIONS = {
  ["-v"] = function(box, value)
    local from, to = value:match("^(.-):(/.*)$")
    box:bind(from or fail("-v DIRECTORY:PLACE expected"), to)
  end,
  ["-e"] = function(box, value) box:env(value:match("^[^=]+"), value:match("=(.*)$") or os.getenv(value) or "") end,
  ["-w"] = function(box, value) box:cwd(value) end,
  ["--network"] = function(box, value) if value == "host" then box:share "net" end end,
}

local function demo()
  local directory = os.tmpname()
  os.remove(directory)
  os.execute(([[mkdir -p D/root/bin && cp "$(command -v busybox)" D/root/bin/ && cd D/root/bin && ln -s busybox sh &&
    ln -s busybox ls && tar -C D/root -czf D/small.tar.gz .]]):gsub("D", directory))
  local image = assert(ns.image(directory .. "/small.tar.gz"))
  local r = assert(image:box():run("sh", "-c", "ls /; echo x >/bin/new; ls /bin; echo I am $(busybox id -u)"))
  io.write(r.stdout, r.stderr)
  print("the image has " .. #image.layers .. " layer; in a new box, /bin/new is "
    .. (image:box():run("ls", "/bin/new").ok and "there" or "not there"))
  assert(image:remove())
  os.execute("rm -rf " .. directory)
end

if not arg[1] then return demo() end

local given, at = {}, 1
while OPTIONS[arg[at]] do
  given[#given + 1] = { OPTIONS[arg[at]], arg[at + 1] or fail(arg[at] .. ": value missing") }
  at = at + 2
end
local image, message = ns.image(arg[at] or fail "IMAGE expected")
if not image then fail(message) end
local box = image:box(unpack(arg, at + 1))
for _, option in ipairs(given) do option[1](box, option[2]) end
local p
p, message = box:spawn()
if not p then fail(message) end
local _, how, code = p:wait()
os.exit(how == "exit" and code or 128 + code)
