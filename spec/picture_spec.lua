--- doc/order.svg: its words stand in the order in which they are played.
local machine = require "support.machine"
local plan = require "ns.start.plan"
local plans = require "support.plans"

--- The lines of words in the picture, from the top down, as a number for each word; false for one that stands on two.
local function lines()
  local found, number = {}, 0
  for text in machine.read("doc/order.svg"):gmatch('font%-family="monospace"[^>]*>([^<]+)<') do
    number = number + 1
    for word in text:gmatch("%S+") do found[word] = found[word] == nil and number end
  end
  return found
end

--- The words in the order in which their first steps stand in a plan that has most of them.
local function played()
  local list, seen = {}, {}
  for _, step in ipairs(plans.steps { "true", flags = "user,mount,pid,net,ipc,uts,cgroup,time", session = true,
    keyring = "own", propagation = "slave", time = { boottime = 1 }, oom_score_adj = 1, disable_userns = true, root = "/",
    mounts = { { type = "tmpfs", target = "/tmp" } }, hostname = "a", domainname = "b", rlimits = { core = 0 }, nice = 1,
    ioprio = "idle", scheduler = "batch", affinity = 0, personality = "linux32", caps = {}, umask = "022", user = 1,
    group = 1, groups = { 1 }, cwd = "/", no_new_privs = true, seccomp = "default" }) do
    if step.word and not seen[step.word] then
      seen[step.word] = true
      list[#list + 1] = step.word
    end
  end
  return list
end

describe("a picture of networks", function()
  local pictures = dofile "tools/pictures.lua"

  --- What is linked to what, in its text or its image.
  local function edges(text, pattern)
    local list = {}
    for line in text:gmatch(pattern) do list[#list + 1] = (line:gsub('"', ""):gsub("&#45;", "-"):gsub(" %-%- ", "--")) end
    table.sort(list)
    return table.concat(list, "\n")
  end

  for _, row in ipairs(pictures.rows) do
    it("is what net:graph says, and stands in the page: " .. row[1], function()
      local net = row[2]()
      local text = net:graph()
      net:close()
      local image = assert(machine.read("doc/" .. row[1] .. ".svg"))
      local there = edges(image, "<title>([^<]*&#45;&#45;[^<]*)</title>")
      assert.equal(edges(text, '("[%w]+" %-%- "[%w]+")'), there)
      assert.truthy(#there > 0)
      assert.truthy(machine.read("doc/networks.md"):find("(" .. row[1] .. ".svg)", 1, true), row[1])
    end)
  end
end)

describe("the picture of the order inside", function()
  local line = lines()

  it("has words of a spec alone", function()
    for word in pairs(line) do assert.truthy(plan.words[word], word) end
  end)

  it("has them in the order in which they are played", function()
    local last, count = 0, 0
    for _, word in ipairs(played()) do
      if line[word] then
        assert.truthy(line[word] >= last, word)
        last, count = line[word], count + 1
      end
    end
    assert.truthy(count > 20, count)
  end)
end)
