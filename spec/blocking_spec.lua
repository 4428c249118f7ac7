--- What may block when it is opened never blocks the host (row 67): each word that takes a path, against each thing that can
-- be there.
local machine = require "support.machine"

local MAKE = [[
  mkfifo -m 777 $1/fifo && mknod -m 777 $1/device c 1 3 2>/dev/null || ln -s /dev/null $1/device
  perl -e 'use IO::Socket::UNIX; IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 1) or die' $1/socket
  chmod 777 $1/socket; mkdir $1/directory; ln -s loop $1/loop; ln -s nowhere $1/dangling
  printf '#!%s/fifo\n' $1 >$1/script; chmod 755 $1/script
]]

--- Tries a spec, written as Lua with the thing's path in `path`, for each of the things; prints what came of it.
local CODE = [[
  local ns = require "ns"
  for name in ("%s"):gmatch("%%a+") do
    local path = "%s/" .. name
    local spec = %s
    spec.timeout, spec.grace = 5, 0
    local r, message, _, detail = ns.run(spec)
    local outcome = r and (r.timed_out and "TIMEOUT" or "runs") or detail.code
    print(name, outcome, r and "" or message)
  end
]]

local THINGS = "fifo socket device directory loop dangling"

--- The outcome for each of the things, and all that was printed.
local function outcomes(directory, spec, things, options)
  options = options or {}
  options.timeout = 20
  local r = machine.host(CODE:format(things or THINGS, directory, spec), options)
  local list = {}
  for name, outcome in r.stdout:gmatch("(%a+)\t(%S+)") do list[#list + 1] = name .. " " .. outcome end
  assert(r.ok, tostring(r) .. r.stdout)
  return table.concat(list, ", "), r.stdout
end

describe("a path that may block #system", function()
  local directory, remove

  setup(function()
    directory, remove = machine.directory()
    os.execute(("set -- %s; %s"):format(directory, MAKE))
  end)

  teardown(function() remove() end)

  it("as stdin: a FIFO without a writer is at its end", function()
    assert.equal("fifo runs, socket ENXIO, device runs, directory runs, loop ELOOP, dangling ENOENT",
      (outcomes(directory, '{ "cat", stdin = { path = path } }')))
  end)

  it("as stdout: a FIFO without a reader is an error", function()
    assert.equal("fifo ENXIO, socket ENXIO, device runs, directory EISDIR, loop ELOOP, dangling runs",
      (outcomes(directory, '{ "true", stdout = { path = path } }')))
    os.remove(directory .. "/nowhere")
  end)

  it("as the working directory", function()
    assert.equal("fifo ENOTDIR, socket ENOTDIR, device ENOTDIR, directory runs, loop ELOOP, dangling ENOENT",
      (outcomes(directory, '{ "true", cwd = path }')))
  end)

  it("as the program, even when the reason is looked for", function()
    local list, text = outcomes(directory, "{ path }", THINGS .. " script")
    assert.equal("fifo EACCES, socket EACCES, device EACCES, directory EACCES, loop ELOOP, dangling ENOENT, "
      .. "script EACCES", list)
    assert.matches("/fifo is no regular file\n", text)
    assert.matches("/device is no regular file\n", text)
    assert.matches("its interpreter %S+/fifo is not executable\n", text)
  end)

  it("as the program that is only looked for", function()
    local code = [[
      for name in ("fifo socket device directory"):gmatch("%%a+") do
        print((select(4, require("ns").check { "%s/" .. name, timeout = 5 }) or {}).code)
      end]]
    assert.equal(("EACCES\n"):rep(4), machine.host(code:format(directory), { timeout = 20 }).stdout)
  end)

  for _, options in ipairs { {}, { nobody = true } } do
    machine.it("user")("as the source of a bind" .. (options.nobody and ", for an ordinary user" or ""), function()
      local spec = '{ "true", flags = "user,mount", system = true, mounts = { { type = "bind", source = path, '
        .. 'target = "/mnt" } } }'
      assert.equal("fifo runs, socket runs, device runs, directory runs, loop ELOOP, dangling ENOENT",
        (outcomes(directory, spec, nil, options)))
    end)

    machine.it("user")("as the root" .. (options.nobody and ", for an ordinary user" or ""), function()
      local spec = '{ "/bin/true", flags = "user,mount", root = path, system = true }'
      assert.equal("fifo ENOTDIR, socket ENOTDIR, device ENOTDIR, directory runs, loop ELOOP, dangling ENOENT",
        (outcomes(directory, spec, nil, options)))
    end)
  end

  machine.it("user")("as what a mount is to cover", function()
    local spec = '{ "true", flags = "user,mount", root = "/", mounts = { { type = "file", target = path, data = "x" } } }'
    assert.equal("fifo runs, socket runs, device runs, directory EINVAL, loop ELOOP, dangling EROFS",
      (outcomes(directory, spec, nil)))
  end)
end)
