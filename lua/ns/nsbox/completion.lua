--- nsbox completion: what makes a shell complete the words of nsbox.
-- @module ns.nsbox.completion
require("ns.core").nojit()
local bwrap_options = require "ns.nsbox.bwrap_options"
local fail = require "ns.nsbox.fail"
local parse = require "ns.nsbox.parse"

local completion = { summary = "Prints what makes a shell complete the words of nsbox.",
  arguments = { { "shell", "?", "bash (default), zsh or fish" } } }

-- What argparse does not know: names, which nsbox tells, and the options of bwrap.
local NAMES = {
  bash = [[

_nsbox_names() {
    _nsbox "$@"
    local names= cur=${COMP_WORDS[COMP_CWORD]}
    case ${COMP_WORDS[COMP_CWORD-1]}:${COMP_WORDS[1]}:$cur in
    --net:run:*|--network:run:*) names='none host pasta' ;;
    *:bwrap:-*) names='%s' ;;
    *:*:-*) ;;
    *:exec:*|*:logs:*|*:stop:*|*:kill:*|*:wait:*|*:rm:*) names=$(nsbox ps -aq 2>/dev/null) ;;
    *:cp:*) names=$(nsbox ps -q 2>/dev/null | sed 's/$/:/') ;;
    run:run:*|*:rmi:*) names=$(nsbox images -q 2>/dev/null) ;;
    esac
    if [ -n "$names" ]; then COMPREPLY=($(compgen -W "$names" -- "$cur")); fi
}
complete -F _nsbox_names -o bashdefault -o default nsbox
]],
  fish = [[

complete -c nsbox -n '__fish_seen_subcommand_from exec logs stop kill wait rm' -xa '(nsbox ps -aq)'
complete -c nsbox -n '__fish_seen_subcommand_from run rmi' -a '(nsbox images -q)'
complete -c nsbox -n '__fish_seen_subcommand_from run' -l network -l net -xa 'none host pasta'
complete -c nsbox -n '__fish_seen_subcommand_from bwrap' -a '%s'
]],
}

local function options_of_bwrap()
  local list = {}
  for name in pairs(bwrap_options.rows) do list[#list + 1] = name end
  table.sort(list)
  return table.concat(list, " ")
end

--- Does what was typed (`ns.nsbox.parse`): the exit status.
function completion.run(given)
  local shell = given.shell or "bash"
  local method = ({ bash = "get_bash_complete", zsh = "get_zsh_complete", fish = "get_fish_complete" })[shell]
  if not method then fail.now("completion: bash, zsh or fish expected, not '%s'", shell) end
  local parser = parse.parser(given.names)
  io.write(parser[method](parser), ((NAMES[shell] or ""):gsub("%%s", options_of_bwrap)))
  return 0
end

return completion
