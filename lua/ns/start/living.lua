--- A living box: an init that waits, and the programs that it is given one after the other (src/launcher/serve.c).
-- @module ns.start.living
require("ns.core").nojit()
local later = require("ns.words.later").module
local cache = require "ns.start.cache"
local check = require "ns.words.check"
local core = require "ns.core"
local errors = require "ns.start.errors"
local group = require "ns.running.group"
local groups = later "ns.start.groups"
local ids = require "ns.start.ids"
local merge = require "ns.words.merge"
local relay = require "ns.start.relay"
local optional = require "ns.start.optional"
local pasta = require "ns.start.pasta"
local plan = require "ns.start.plan"
local seccomp = later "ns.words.seccomp"
local spawn = require "ns.start.spawn"
local streams = require "ns.start.streams"
local survey = require "ns.start.survey"
local trees = require "ns.words.trees"

local living, NONE = {}, {}

--- What was found for the box and holds for its programs, too.
living.FOUND = { "landlock", "keeps_rights", "may_set_groups", "program", "euid_is_root" }

local errno_of, JOB = core.constants.errno, core.constants.job

--- May a program in this box have the word?
local function is_job_word(row, box)
  return row.scope == "job" or row.scope == "both" or row.scope == "rights" and box.found.keeps_rights
end

--- The words that every program of the box has, from those of the box.
local function words_of(box)
  local words = {}
  for word, value in next, box.words do
    if is_job_word(plan.words[word], box) then words[word] = value end
  end
  words.argv = nil
  return words
end

--- Who has asked for the box, as it is for its programs.
local function without_launch(host)
  local copy = {}
  for name, value in next, host do copy[name] = value end
  setmetatable(copy, getmetatable(host))
  copy.serves, copy.unawaited, copy.left_out, copy.keeps = nil, nil, nil, nil
  return copy
end

--- A box that was found by its name, made ready for programs. `ours`: its group, where we have that.
function living.adopt(box, ours)
  groups.adopt(box, ours)
  box.host, box.cache, box.job_words = survey.host(), {}, words_of(box)
  return box
end

--- Launches the init for a spec that was checked with host.serves: what is known of the box; or nil, message, errno, detail.
-- `words`: the spec before it was checked. `kept`: of earlier launches.
function living.start(spec, host, words, kept)
  local box, message, errno, detail = spawn.start(spec, host, kept)
  if not box then return nil, message, errno, detail end
  box.words, box.host, box.cache = words, without_launch(host), kept and kept.of_jobs or {}
  if kept then kept.of_jobs = box.cache end
  box.job_words = words_of(box)
  local soft, hard = core.nofile()
  box.limits = soft ~= hard and { soft, hard } or nil
  box.cwd = not spec.root and core.readlink "/proc/self/cwd" or nil
  return box
end

--- Ends a box, and all that is in it.
function living.close(box)
  if not box.handle:isclosed() then box.handle:close() end
  relay.close(box.relay)
  pasta.close(box.pasta)
  if box.group then box.group:remove() end
end

--- Has it not ended, and is it ours? In a copy of the host it is not.
function living.is_alive(box)
  if box.handle:isclosed() then return false end
  local _, how = box.handle:wait(0)
  return how == "timeout" or how == "again"
end

local ESRCH = errno_of.ESRCH

--- Awaits a box that was launched with host.unawaited, and may have ended since: true; or nil, message, errno, detail, and
-- it is closed. `seconds`: at the most; then nil, "timeout", and it is still awaited.
function living.finish(box, seconds)
  local pending = box.pending
  if not (pending and not box.handle:isclosed()) then
    if living.is_alive(box) then return true end
    if not box.handle:isclosed() then living.close(box) end
    return nil, core.strerror(ESRCH), ESRCH, { step = "job", code = "ESRCH" }
  end
  local ok, message, errno, detail = spawn.play(box.handle, pending.bytes, pending.steps,
    seconds and core.clock() + seconds or pending.deadline, pending.init)
  if not ok and seconds and errno == errno_of.ETIMEDOUT then return nil, "timeout" end
  box.pending = nil
  if ok then ok, message, errno, detail = spawn.relay(box) end
  if not ok then living.close(box) end
  return ok, message, errno, detail
end

-- ---- what a program in it may differ in ----

--- A program may have lower limits than the box, and no higher ones.
local function check_limits(wanted, box)
  for name, pair in next, wanted or NONE do
    local most = box.spec.rlimits and box.spec.rlimits[name]
    for _, which in ipairs { "soft", "hard" } do
      local n, limit = pair[which], most and most.hard or -1
      if limit ~= -1 and (n == -1 or n > limit) then
        check.fail("rlimits." .. name, "the box has %.0f at the most", limit)
      end
    end
  end
end

-- Why a word is the box's, by its scope.
local NOT_A_JOBS = { rights = "is the box's, and cannot differ in a program of it: its init has given up its rights, "
  .. "which it keeps where root starts the box with a 'user' that is not 0" }

--- The words of the box with those of the program, all of which it may have.
local function over_box(box, words)
  for word in next, words do
    local row = plan.words[word]
    if not row then plan.unknown(word) end
    if not is_job_word(row, box) then
      check.fail(word, row.outside or NOT_A_JOBS[row.scope] or "is the box's, and cannot differ in a program of it")
    end
  end
  return merge.over(box.job_words, words)
end

--- Does the program differ from the box only in words that are checked at each start anyway (`anew`)? Then what was checked
-- of the box holds, and is taken from its cache.
local function only_anew(words)
  for word in next, words do
    if not plan.words[word].anew then return false end
  end
  return true
end

-- The most that go to the init in one message (unix(7), SCM_MAX_FD), less the standard streams.
local MOST_FDS = 250

local function check_fds(fds)
  local seen, count = {}, 0
  for _, want in next, fds do
    if not seen[want.fd] then count = count + 1 end
    seen[want.fd] = true
  end
  if count > MOST_FDS then check.fail("fds", "%d are too many in a container, %d are the most", count, MOST_FDS) end
end

local function check_job(words, box)
  words = plan.read(words)
  local merged = over_box(box, words)
  local kept = only_anew(words) and box.cache or nil
  local checked = plan.normal(merged, kept)
  if not checked.argv then check.fail("argv", "missing") end
  if words.rlimits then check_limits(checked.rlimits, box) end
  if words.fds then check_fds(checked.fds) end
  checked.flags, checked.root, checked.maps, checked.map = box.spec.flags, box.spec.root, box.spec.maps, box.spec.map
  checked.landlock, checked.no_new_privs = box.spec.landlock, box.spec.no_new_privs
  checked.seccomp, checked.disable_userns = box.spec.seccomp, box.spec.disable_userns
  checked.caps_of_box = box.spec.caps
  if box.cwd then checked.cwd = checked.cwd or box.cwd end
  plan.check_together(checked, box.host)
  return checked, kept
end

--- The words of a program in the box, in their normal form, and what the box keeps of such a start; or nil, the mistake.
function living.check(words, box)
  local ok, result, kept = pcall(check_job, words, box)
  if ok then return result, kept end
  local mistake = check.mistake(result)
  if not mistake then error(result, 0) end
  return nil, mistake
end

-- ---- one program ----

--- The descriptors to send to a job, each once, and which number each gets inside: {[number] = its place in that list}. The
-- third is the place of the slave of its pty, the fourth that of the memory for its trace.
local function numbered(opened)
  local list, places, ends = {}, {}, {}
  local function place(fd)
    if not places[fd] then
      list[#list + 1] = fd
      places[fd] = #list
    end
    return places[fd]
  end
  for number, fd in next, opened.ends do ends[number] = place(fd) end
  return list, ends, opened.slave and place(opened.slave), opened.trace and place(opened.trace)
end

local function ask(start, box, list, bytes)
  local how = (start.ends_box and JOB.ENDS_BOX or 0) + (start.spec.tty and JOB.TELLS_STOPS or 0)
    + ((start.spec.oom_score_adj or start.spec.seccomp and seccomp.traces(start.spec)) and JOB.COPIES or 0)
    + (start.outlives and JOB.OUTLIVES or 0)
  while true do
    local left = start.deadline and math.max(0, start.deadline - core.clock()) or -1
    local handle, step, errno = box.handle:start_job(list, bytes, how, left)
    if handle or errno ~= errno_of.EINTR then return handle, step, errno end
  end
end

local function begin(start)
  local box, spec = start.box, start.spec
  local host = box.host
  local opened, step, errno = streams.open(start.bag, spec, nil, box.spec)
  if not opened then return errors.refused(step, errno) end
  local list, ends, slave, trace = numbered(opened)
  start.found = { scope = "job", ends = ends, slave = slave, trace = trace, ptmx = opened.ptmx, environ = host.environ,
    nofile = host.nofile, limits = box.limits }
  for _, name in ipairs(living.FOUND) do start.found[name] = box.found[name] end
  if spec.tty then
    local message, code, detail
    opened, message, code, detail = spawn.keep_terminal(start, opened)
    if not opened then return nil, message, code, detail end
  end
  local known_ids = box.found.keeps_rights and ids.on_host(spec, host) or box.known_ids
  trees.give_streams(nil, spec, function(one)
    for _, fd in ipairs(one.fds) do core.give(fd, one.uid, one.gid) end
  end, { program = known_ids, made = opened.made, euid_is_root = box.found.euid_is_root })
  local steps, bytes = cache.encoded(start.cache, spec, start.found)
  steps.flags = box.spec.flags
  start.handle, step, errno = ask(start, box, list, bytes)
  if not start.handle then
    local starved = box.group and not box.group:isgone() and group.oom(box.group)
    return errors.refused({ op = step, hint = starved and "the container has ended, as its memory ran out (limits)" }, errno)
  end
  local ok, message, code, detail = spawn.play(start.handle, bytes, steps, start.deadline)
  if not ok then return nil, message, code, detail end
  return spawn.adopt(start, opened,
    { pid = start.handle:pid(), alone = true, around = box.group, ends_box = start.ends_box, left_out = start.left,
      known_ids = known_ids, box = box })
end

--- Starts a program for words from `living.check`, with what the box keeps: a process; or nil, message, errno, detail.
-- `ends_box`: the box ends with it; `outlives`: it goes on without its host.
function living.spawn(spec, kept, box, ends_box, outlives)
  local began = core.clock()
  return optional.start(spec, box.host, function(less, left)
    local start = { spec = less, cache = less == spec and kept or nil, box = box, began = began, ends_box = ends_box,
      outlives = outlives, left = left, deadline = spec.timeout and began + spec.timeout }
    return spawn.guarded(begin, start)
  end)
end

return living
