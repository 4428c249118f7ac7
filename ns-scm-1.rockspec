rockspec_format = "3.0"
package = "ns"
version = "scm-1"
source = {
  url = "git+https://github.com/ns-lua/ns.git",
}
description = {
  summary = "Run programs in Linux namespaces",
  detailed = [[
ns starts programs in namespaces of their own (user, mount, pid, net, ipc, uts, cgroup, time), with the root file system,
ids, capabilities, limits, streams and terminal that one Lua table asks for; or in a sandbox with safe defaults, as root
and as an ordinary user. A failure names the step that failed, and leaves nothing.]],
  homepage = "https://github.com/ns-lua/ns",
  issues_url = "https://github.com/ns-lua/ns/issues",
  license = "MIT",
  labels = { "linux", "namespaces", "process", "sandbox", "container" },
}
supported_platforms = { "linux" }
dependencies = {
  "lua >= 5.1",
}
test_dependencies = {
  "busted",
}
build = {
  type = "make",
  variables = {
    -- names the directory below build/, so that a tree that was built for one Lua is not installed for another
    LUA_VERSION = "$(shell $(LUA) -e 'print(_VERSION:sub(5))')",
    LUA_INCDIR = "$(LUA_INCDIR)",
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    LIBFLAG = "$(LIBFLAG)",
  },
  -- LuaRocks says LUA_LIBDIR for the directory of liblua; in the Makefile it is the directory of C modules
  install_variables = {
    LUA_LIBDIR = "$(LIBDIR)",
    LUA_SHAREDIR = "$(LUADIR)",
    BINDIR = "$(BINDIR)",
    -- that of a packager around us says where the whole tree goes in the end
    DESTDIR = "",
  },
}
test = {
  type = "busted",
}
