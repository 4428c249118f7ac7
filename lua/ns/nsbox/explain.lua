--- nsbox explain: what `nsbox run` with the same words would do, step by step.
-- @module ns.nsbox.explain
require("ns.core").nojit()
local fail = require "ns.nsbox.fail"
local run = require "ns.nsbox.run"

local explain = { summary = "Tells what run would do, step by step, and does nothing.", rest = true,
  options = run.options, arguments = run.arguments }

--- Does what was typed (`ns.nsbox.parse`): the exit status.
function explain.run(given)
  io.write(fail.unless(run.plan(given).box:explain(given.words)))
  return 0
end

return explain
