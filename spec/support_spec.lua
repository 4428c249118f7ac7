--- The tools of the specs that could pass for working when they do not.
local machine = require "support.machine"

local function under(command, line)
  local argv = {}
  for _, word in ipairs(command) do argv[#argv + 1] = word end
  for _, word in ipairs { "perl", "-e", line } do argv[#argv + 1] = word end
  return assert(require("ns").run { argv = argv, stderr = "stdout" }).stdout
end

describe("refuse #system", function()
  it("lets the named system calls fail, and no others", function()
    local command = machine.refuse("EXDEV", "mkdirat", "symlinkat")
    assert.equal("18 18 20", under(command, [[
      my ($mkdirat, $symlinkat) = `uname -m` =~ /x86_64/ ? (258, 266) : (34, 36);
      my $path = "/proc/x";
      syscall($mkdirat, -100, $path, 0); print $! + 0, " ";
      syscall($symlinkat, $path, -100, $path); print $! + 0, " ";
      opendir(my $d, "/etc/passwd"); print $! + 0]]))
  end)

  it("knows calls and errors by number, and nests", function()
    local outer, number = machine.refuse("61", "umount2"), machine.refuse("ENOSYS", "40")
    for _, word in ipairs(number) do outer[#outer + 1] = word end
    assert.equal("61 38", under(outer, [[
      my ($umount2, $forty) = (`uname -m` =~ /x86_64/ ? 166 : 39, 40);
      my $path = "/proc/x";
      syscall($umount2, $path, 0); print $! + 0, " ";
      syscall($forty, 0, 0, 0, 0, 0); print $! + 0]]))
  end)

  it("refuses names that it does not know", function()
    assert.equal("refuse: no such system call: mkdri\n", under(machine.refuse("EPERM", "mkdri"), ""))
    assert.equal("refuse: no such error: EFOO\n", under(machine.refuse("EFOO", "mkdirat"), ""))
  end)
end)
