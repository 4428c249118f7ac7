--- busted's plain output, its skips with their reasons, and one closing line that machines read.
return function(options)
  local busted = require "busted"
  local handler = require "busted.outputHandlers.plainTerminal"(options)
  busted.subscribe({ "suite", "end" }, function()
    local failed = handler.failuresCount + handler.errorsCount
    print(("%d passed, %d failed, %d skipped"):format(handler.successesCount, failed, handler.pendingsCount))
    io.stdout:flush()
    return nil, true
  end)
  return handler
end
