--- An output handler for busted that writes nothing but each test as a line: what has come of it, where it stands, its name.
return function(options)
  local busted = require "busted"
  local handler = require "busted.outputHandlers.base"()
  local file = assert(io.open(os.getenv "SUITES_LIST", "w"))

  local function line(...)
    file:write((table.concat({ ... }, "\t"):gsub("[\r\n]+", " ")), "\n")
    file:flush()
  end

  busted.subscribe({ "test", "end" }, function(element, _, status)
    local trace = element.trace or {}
    line(status, tostring(trace.short_src) .. ":" .. tostring(trace.currentline), handler.getFullName(element))
    return nil, true
  end)
  busted.subscribe({ "error" }, function(element, _, message)
    if element.descriptor ~= "it" then
      line("ERROR", element.descriptor, tostring(element.name), tostring(message):sub(1, 200))
    end
    return nil, true
  end)
  busted.subscribe({ "suite", "end" }, function()
    line("counts", handler.successesCount, handler.failuresCount, handler.errorsCount, handler.pendingsCount)
    return nil, true
  end)
  handler.options = options
  return handler
end
