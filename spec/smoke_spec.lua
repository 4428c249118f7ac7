local ns = require "ns"
describe("smoke", function()
  it("runs", function() assert.equal("x\n", ns.run{"echo","x"}.stdout) end)
end)
