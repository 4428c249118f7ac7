-- `luacheck .` looks at all Lua files, and is silent.
std = "min" -- what Lua 5.1 to 5.4 and LuaJIT have in common
max_line_length = 120
include_files = { "lua", "spec", "examples", "bench", "library", "*.rockspec", ".luacheckrc", ".busted", "config.ld" }
-- `not (x >= 0)` is not `x < 0`: NaN
ignore = { "582" }

files["spec"] = { std = "min+busted" }
files["examples"] = { std = "max" }
files["bench"] = { std = "max" }
-- types only: the functions there have no body
files["library"] = { ignore = { "212", "241" } }
files["*.rockspec"] = { std = "rockspec" }
files["config.ld"] = { std = "ldoc" }
