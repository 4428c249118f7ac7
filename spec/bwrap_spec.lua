--- nsbox bwrap: the options of bubblewrap, and the command lines that programs which call it pass.
local machine = require "support.machine"
local nsbox = require "support.nsbox"
local ns = require "ns"

local unpack = table.unpack or unpack -- luacheck: ignore

local WHO = { ["an ordinary user"] = true, [machine.root and "root" or "an ordinary user"] = not machine.root }

local describe_it = nsbox.works and machine.describe("user", "root") or machine.without("describe", nsbox.why)

--- What callers of bubblewrap begin with.
local SYSTEM = { "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--unshare-pid" }

for who, nobody in pairs(WHO) do
  describe_it("nsbox bwrap, for " .. who .. " #system", function()
    local user

    setup(function() user = nsbox.user(nobody) end)
    teardown(function() user.leave() end)

    --- The Result of these words, which are lists and strings.
    local function bwrap(...)
      local words = { "bwrap" }
      for _, part in ipairs { ... } do
        for _, word in ipairs(type(part) == "table" and part or { part }) do words[#words + 1] = word end
      end
      return user.run(unpack(words))
    end

    local function out(...)
      local r = bwrap(...)
      assert.equal("", r.stderr)
      return (r.stdout:gsub("\n$", ""))
    end

    it("makes places on the way to a mount, in a tree of the host's too", function()
      local home = user.home
      assert.equal("755\n644", out("--bind", "/", "/", "--bind", "/usr", home .. "/new/usr", "--ro-bind", "/etc/passwd",
        home .. "/file", "stat", "-c", "%a", home .. "/new", home .. "/file"))
      assert.equal("755 444", machine.sh({ cwd = user.home }, "echo $(stat -c %a new/usr file)"))
      assert.equal("", machine.sh({ cwd = user.home }, "ls new/usr; cat file"))
    end)

    it("follows no link out of the root while it makes a place", function()
      machine.sh({}, ("cd %s && mkdir -p root outside && chmod 777 root outside && ln -sfn %s/outside root/link"):format(
        user.home, user.home))
      bwrap("--ro-bind", "/usr", "/usr", "--bind", user.home .. "/root", "/place", "--dir", "/place/link/made", "true")
      assert.equal("", machine.sh({ cwd = user.home }, "ls outside"))
    end)

    it("has links: the same one again is fine, another one is refused", function()
      local home = { "--bind", user.home, user.home }
      for _ = 1, 2 do out(SYSTEM, home, "--symlink", "/dev/null", user.home .. "/l", "true") end
      local r = bwrap(SYSTEM, home, "--symlink", "/dev/full", user.home .. "/l", "true")
      assert.equal(1, r.code)
      assert.matches("^bwrap: Can't make symlink at .*: existing destination is /dev/null\n$", r.stderr)
    end)

    it("hands the options of a descriptor, files, and the descriptors that it does not know", function()
      local line = [[printf '%s\0' --setenv A b --unsetenv C >args; echo data >data; echo mine >mine
        exec "$@" --ro-bind / / --args 3 --tmpfs /mnt --file 4 /mnt/file sh -c 'echo $A$C; cat /mnt/file; cat <&5' \
          3<args 4<data 5<mine]]
      local spec = user.spec("bwrap")
      local argv = { "sh", "-c", line, "sh" }
      for _, word in ipairs(spec.argv) do argv[#argv + 1] = word end
      spec.argv, spec.env.C = argv, "c"
      local r = assert(ns.run(spec))
      assert.equal("b\ndata\nmine\n", r.stdout, r.stderr)
    end)

    --- The Result of a shell line in which "$@" is nsbox bwrap with these words.
    local function line(text, ...)
      local spec = user.spec("bwrap", ...)
      local argv = { "sh", "-c", text, "sh" }
      for _, word in ipairs(spec.argv) do argv[#argv + 1] = word end
      spec.argv = argv
      return assert(ns.run(spec))
    end

    it("takes the last option of a descriptor, too, where no NUL is behind it", function()
      local r = line([[printf -- '--setenv\0A\0b\0--unshare-net' >args; exec "$@" 9<args]], "--ro-bind", "/", "/", "--args",
        "9", "sh", "-c", "echo $A; readlink /proc/self/ns/net")
      assert.matches("^b\nnet:", r.stdout, r.stderr)
      assert.not_equal("b\n" .. machine.sh({}, "readlink /proc/self/ns/net") .. "\n", r.stdout)
    end)

    it("runs nothing where a descriptor cannot be read or written, and says so", function()
      local readers = { { "--args", "9" }, { "--file", "9", "/mnt/x" }, { "--bind-data", "9", "/mnt/x" },
        { "--ro-bind-data", "9", "/mnt/x" }, { "--seccomp", "9" }, { "--add-seccomp-fd", "9" } }
      local writers = { { "--info-fd", "9" }, { "--json-status-fd", "9" } }
      for redirections, list in pairs { ["9</ 9>>file 9<&-"] = readers, ["9</ 9</dev/null 9<&-"] = writers } do
        for redirection in redirections:gmatch "%S+" do
          for _, option in ipairs(list) do
            local words = { "--ro-bind", "/", "/", "--tmpfs", "/mnt" }
            for _, word in ipairs(option) do words[#words + 1] = word end
            for _, word in ipairs { "echo", "ran" } do words[#words + 1] = word end
            local r = line('exec "$@" ' .. redirection, unpack(words))
            assert.same({ 1, "" }, { r.code, r.stdout }, option[1] .. " " .. redirection)
            assert.matches("^bwrap: [^\n]*" .. option[1]:gsub("%-", "%%-"), r.stderr)
            assert.not_matches("%.lua:", r.stderr)
          end
        end
      end
      for _, option in ipairs { "--info-fd", "--json-status-fd" } do
        local r = line('exec "$@" 9>/dev/full', "--ro-bind", "/", "/", option, "9", "true")
        assert.equal(1, r.code)
        assert.matches("^bwrap: .*No space left", r.stderr)
      end
    end)

    it("has devices of the host with --dev-bind alone, on / as elsewhere", function()
      for option, expected in pairs { ["--bind"] = "no\n", ["--ro-bind"] = "no\n", ["--dev-bind"] = "device\n" } do
        local code = "(head -c 1 /dev/zero | wc -c) 2>&1 | grep -q '^1$' && echo device || echo no"
        local r = bwrap(option, "/", "/", "sh", "-c", code)
        assert.equal(expected, r.stdout, option .. r.stderr)
        assert.equal("device", out(option, "/", "/", "--dev", "/dev", "sh", "-c", code))
      end
    end)

    it("has one root, whatever is said of it", function()
      assert.equal("ran", out(SYSTEM, "--dir", "/", "echo", "ran"))
      assert.equal("ran", out(SYSTEM, "--bind-try", "/no/such", "/", "echo", "ran"))
      local root = { "--size", "8192", "--perms", "0711", "--tmpfs", "/", "--ro-bind", "/", "/host", "--chdir", "/" }
      local code = "stat -c %a /; head -c 65536 /dev/zero >/x 2>/dev/null || echo full"
      assert.equal("711\nfull", out(root, "--dev", "/dev", "--symlink", "host/usr", "/usr", "--symlink", "host/bin", "/bin",
        "--symlink", "host/lib", "/lib", "--symlink", "host/lib64", "/lib64", "/bin/sh", "-c", code))
      for _, words in ipairs { { "--proc", "/" }, { "--symlink", "x", "/" } } do
        local r = bwrap(SYSTEM, words, "echo", "ran")
        assert.same({ 1, "" }, { r.code, r.stdout })
        assert.matches("^bwrap: .* on /", r.stderr)
      end
    end)

    it("tells of the program as JSON: its pid, its namespaces and its exit status", function()
      local spec = user.spec("bwrap", "--ro-bind", "/", "/", "--unshare-all", "--info-fd", "3", "--json-status-fd", "4",
        "--", "sh", "-c", "sleep 0.5; exit 42")
      local argv = { "sh", "-c", 'exec "$@" 3>info 4>status', "sh" }
      for _, word in ipairs(spec.argv) do argv[#argv + 1] = word end
      spec.argv = argv
      assert.equal(42, assert(ns.run(spec)).code)
      assert.matches('^{\n    "child%-pid": %d+,\n.-"net%-namespace": %d+.-\n}\n$', machine.read(user.home .. "/info"))
      assert.matches('^{ "child%-pid": %d+.- }\n{ "exit%-code": 42 }\n$', machine.read(user.home .. "/status"))
    end)

    it("dies with its parent where that is asked for", function()
      local spec = user.spec("bwrap", "--ro-bind", "/", "/", "--die-with-parent", "sleep", "4321.9")
      local argv = { "sh", "-c", '"$@" & echo; wait', "sh" }
      for _, word in ipairs(spec.argv) do argv[#argv + 1] = word end
      spec.argv, spec.stdout = argv, "pipe"
      local p = assert(ns.spawn(spec))
      machine.eventually(function() return machine.processes "4321.9" >= 3 end) -- the shell, nsbox, and sleep
      p:kill "KILL"
      machine.status(p)
      machine.eventually(function() return machine.processes "4321.9" == 0 end)
    end)

    it("fails with its own words and status 1", function()
      for words, said in pairs { ["--no-such"] = "Unknown option %-%-no%-such", ["--bind /enoent /x true"] =
        "Can't find source path /enoent", ["--tmp-overlay /x true"] = "%-%-tmp%-overlay requires at least one",
        ["--exec-label x true"] = "%-%-exec%-label is not to be had", ["--size 0 --tmpfs /x true"] = "%-%-size",
        ["--ro-bind / / no-such-program"] = "execvp no%-such%-program", ["-x true"] = "Unknown option %-x",
        ["--ro-bind / / --mqueue /dev/mqueue true"] = "mqueue", ["--ro-bind / / --setenv A=b c true"] = "A=b",
        ["--ro-bind / / --unshare-user --uid -1 true"] = "Invalid uid: %-1" } do
        local list = {}
        for word in words:gmatch "%S+" do list[#list + 1] = word end
        local r = bwrap(list)
        assert.equal(1, r.code, words)
        assert.matches("^bwrap: .*" .. said, r.stderr)
      end
    end)

    -- The shapes of the command lines that others pass.

    it("runs what an agent's sandbox passes: the host read-only, its tree writable, parts masked", function()
      machine.sh({}, ("cd %s && mkdir -p tree/.git secret && echo key >secret/key && chmod -R a+rwX ."):format(user.home))
      local tree, secret = user.home .. "/tree", user.home .. "/secret"
      local text = out("--new-session", "--die-with-parent", "--unshare-user", "--unshare-pid", "--unshare-net", "--ro-bind",
        "/", "/", "--dev", "/dev", "--bind", tree, tree, "--ro-bind", tree .. "/.git", tree .. "/.git", "--perms", "000",
        "--tmpfs", secret, "--remount-ro", secret, "--proc", "/proc", "--cap-drop", "ALL", "--setenv", "MODE", "agent",
        "--chdir", tree, "--", "sh", "-c",
        [[echo made >file; cat file; echo x 2>&- >.git/x || echo no; cat ../secret/key 2>&- || echo hidden; echo $MODE
        ls /sys/class/net >/dev/null 2>&1; grep -c : /proc/net/dev]])
      assert.equal("made\nno\nhidden\nagent\n1", text)
    end)

    it("runs what an image loader passes: a system of binds, links and nothing else", function()
      local words = { "--unshare-all", "--die-with-parent", "--chdir", "/", "--ro-bind", "/usr", "/usr", "--dev", "/dev",
        "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache", "--tmpfs", "/tmp-home", "--tmpfs", "/tmp-run", "--clearenv",
        "--setenv", "HOME", "/tmp-home", "--setenv", "XDG_RUNTIME_DIR", "/tmp-run" }
      for _, name in ipairs { "bin", "lib", "lib64", "sbin" } do
        if machine.sh({}, ("readlink /%s || true"):format(name)) ~= "" then
          for _, word in ipairs { "--symlink", "/usr/" .. name, "/" .. name } do words[#words + 1] = word end
        elseif machine.sh({}, ("ls -d /%s 2>&- || true"):format(name)) ~= "" then
          for _, word in ipairs { "--ro-bind", "/" .. name, "/" .. name } do words[#words + 1] = word end
        end
      end
      local text = out(words, "/usr/bin/env"):gsub("\n", " ")
      for _, variable in ipairs { "HOME=/tmp%-home", "XDG_RUNTIME_DIR=/tmp%-run", "PWD=/" } do
        assert.matches(variable, text)
      end
      assert.not_matches("PATH=", text)
    end)

    it("runs what a builder passes: a root of its own, data as files, the network of the host", function()
      local code = "cat /app/info; ls -d /run/build; readlink /proc/self/ns/net"
      local spec = user.spec("bwrap", "--args", "3", "sh", "-c", code)
      local list = { "--ro-bind", "/usr", "/usr", "--ro-bind-try", "/etc", "/etc", "--proc", "/proc", "--dev", "/dev",
        "--dir", "/run/build", "--unshare-pid", "--unshare-ipc", "--new-session", "--ro-bind-data", "4", "/app/info",
        "--setenv", "PATH", "/usr/bin:/bin" }
      for _, name in ipairs { "bin", "lib", "lib64" } do
        for _, word in ipairs { "--ro-bind-try", "/" .. name, "/" .. name } do list[#list + 1] = word end
      end
      machine.file(user.home .. "/args", table.concat(list, "\0") .. "\0")
      machine.file(user.home .. "/info.txt", "built\n")
      local argv = { "sh", "-c", 'exec "$@" 3<args 4<info.txt', "sh" }
      for _, word in ipairs(spec.argv) do argv[#argv + 1] = word end
      spec.argv = argv
      local r = assert(ns.run(spec))
      assert.equal("built\n/run/build\n" .. machine.sh({}, "readlink /proc/self/ns/net") .. "\n", r.stdout, r.stderr)
    end)

    it("refuses by name what it cannot do: nothing runs", function()
      for _, option in ipairs { "--block-fd", "--userns-block-fd", "--userns2" } do
        local r = bwrap(SYSTEM, option, "0", "echo", "ran")
        assert.same({ 1, "" }, { r.code, r.stdout })
        assert.matches(option .. " is not to be had: ", r.stderr, 1, true)
      end
    end)

    it("lets a helper inside make a namespace of its own, unless that is switched off", function()
      local inner = { "unshare", "-Ur", "true" }
      local caps = machine.root and not nobody and {} or nil
      assert.equal(0, bwrap(SYSTEM, "--unshare-user", caps or {}, inner).code)
      assert.not_equal(0, bwrap(SYSTEM, "--unshare-user", "--disable-userns", inner).code)
      assert.not_equal(0, bwrap(SYSTEM, "--assert-userns-disabled", "true").code)
    end)
  end)
end

describe_it("a link of the name bwrap to nsbox", function()
  it("is bubblewrap, and says so", function()
    local user = nsbox.user(false)
    finally(function() user.leave() end)
    local link = user.home .. "/bin/bwrap"
    machine.sh({}, ("mkdir H/bin && ln -s P/bin/nsbox H/bin/bwrap && ln -s P/lua P/build H"):gsub("%u",
      { H = user.home, P = machine.public() }))
    local spec = user.spec("--ro-bind", "/", "/", "echo", "hello")
    for i, word in ipairs(spec.argv) do
      if word:find "/bin/nsbox$" then spec.argv[i] = link end
    end
    assert.equal("hello\n", assert(ns.run(spec)).stdout)
    for i = #spec.argv, 1, -1 do
      if spec.argv[i] == link then break end
      spec.argv[i] = nil
    end
    table.insert(spec.argv, "--help")
    assert.matches("^usage: " .. link:gsub("%-", "%%-"), assert(ns.run(spec)).stdout)
  end)
end)
