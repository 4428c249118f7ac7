-- `luacheck .` looks at all Lua files, and is silent.
std = "min" -- what Lua 5.1 to 5.4 and LuaJIT have in common
max_line_length = 125
include_files = {
  "bin/nsbox", "bin/nsbox-oci", "lua/**/*.lua", "spec/**/*.lua", "examples/*.lua", "bench/*.lua", "proof/**/*.lua",
  "library/*.lua",
  "*.rockspec", ".luacheckrc", ".busted", "config.ld",
}
-- `not (x >= 0)` is not `x < 0`: NaN
ignore = { "581" }

files["spec"] = { std = "min+busted" }
files["examples"] = { std = "max" }
files["examples/*_spec.lua"] = { std = "max+busted" }
files["proof"] = { std = "max" }
files["bench"] = { std = "max" }
-- types only: the functions there have no body
files["library"] = { ignore = { "212", "241" } }
files["*.rockspec"] = { std = "rockspec" }
files["config.ld"] = { std = "ldoc" }
