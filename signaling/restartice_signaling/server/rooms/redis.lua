-- All that RedisBackend does to sessions and rooms; each call is one indivisible step.
--
-- KEYS[1] is the prefix of all keys, ARGV[1] the name of the step, ARGV[2] to [5] are limits, the rest
-- its arguments.
--   s:<session>  hash: what is known of a session
--   q:<session>  stream: what it is to be told, with the message's number as the entry's id
--   r:<room>     hash: peer -> session
--   rooms        set: rooms
--   h:<holder>   set: sessions that a server looks after, with or without a connection
--   nodes        hash: holder -> how often it has been heard, or "gone"
--   sizes        sorted set: session -> characters that wait for it; total: their sum
--   x:<session>  somebody has taken its place, so that its connection must not come back
--   g:<session>  hash: it can't be resumed, but whoever has its key may have a new one
--   n:<holder>   channel: "session epoch": look at it; "session overflow": it was given up
--
-- Servers say when a session is over, by clocks that don't jump. What they hold lives on for LIFETIME
-- by the clock of Redis, so that nothing stays when there is no server any more.
local P, STEP = KEYS[1], ARGV[1]
local MAX_COUNT, MAX_BYTES, MAX_TOTAL = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local WINDOW = tonumber(ARGV[5])
local FIRST = 6
local EVERYONE = '*'
local LIFETIME = 2 * 86400 * 1000
-- What is left of all that waits when there was too much of it.
local RELIEVED = 0.9
local MAX_KEYS = 16

local function key(session) return P .. 's:' .. session end
local function queue(session) return P .. 'q:' .. session end
local function room_key(room) return P .. 'r:' .. room end
local function held(holder) return P .. 'h:' .. holder end
local function get(session, field) return redis.call('HGET', key(session), field) end
local function count(session, field) return tonumber(get(session, field) or '0') end
local function exists(session) return redis.call('EXISTS', key(session)) == 1 end
local function live(name, time) redis.call('PEXPIRE', name, time or LIFETIME) end

local function tell_node(session, word)
  local node = get(session, 'node')
  if node and node ~= '' then redis.call('PUBLISH', P .. 'n:' .. node, session .. ' ' .. word) end
end

-- Two objects in one, both of which were encoded without white space.
local function merge(first, second) return string.sub(first, 1, -2) .. ',' .. string.sub(second, 2) end

local function size(session) return tonumber(redis.call('ZSCORE', P .. 'sizes', session) or '0') end

local function resize(session, change)
  if change == 0 then return end
  local waiting = tonumber(redis.call('ZINCRBY', P .. 'sizes', change, session))
  if waiting <= 0 then
    redis.call('ZREM', P .. 'sizes', session)
  elseif waiting == change then
    live(P .. 'sizes')
  end
  if redis.call('INCRBY', P .. 'total', change) == change then live(P .. 'total') end
end

local function has_room(session, text, part)
  local waiting = count(session, 'out') - count(session, 'acked')
  if waiting == 0 then return true end
  return waiting < part * MAX_COUNT and size(session) + #text <= part * MAX_BYTES
end

-- Let the client of a session that is over have a new one.
local function remember(session, fields)
  local name = P .. 'g:' .. session
  redis.call('HSET', name, 'digest', fields.digest, 'old_digest', fields.old_digest or '',
             'room', fields.room, 'peer', fields.peer, 'meta', fields.meta,
             'rights', fields.rights, 'claim', fields.claim)
  live(name, WINDOW)
end

local function read(name)
  local fields, entries = {}, redis.call('HGETALL', name)
  for index = 1, #entries, 2 do fields[entries[index]] = entries[index + 1] end
  return fields
end

-- The last number that a client can have got; see note_history().
local function last_known(session)
  return tonumber(get(session, 'shared') or get(session, 'out') or '0')
end

-- A replica that becomes the primary may lack what clients were told, and a primary that starts again,
-- too. Numbers that were lost are given again, so remember how many there were before that: whoever
-- claims to have got more has got what is lost.
local function note_history(session)
  -- An account may lack the right for INFO.
  local info = redis.pcall('INFO', 'replication')
  local history = type(info) == 'string' and string.match(info, 'master_replid:(%w+)') or ''
  if get(session, 'history') == history then return end
  local last = last_known(session)
  redis.call('HSET', key(session), 'history', history, 'shared', last)
end

-- Its client has shown that it got nothing that is lost.
local function trust(session) redis.call('HDEL', key(session), 'shared') end

local finish, make_room

local function append(session, text)
  make_room(#text)
  if not exists(session) then return end
  note_history(session)
  local seq = redis.call('HINCRBY', key(session), 'out', 1)
  redis.call('XADD', queue(session), seq .. '-0', 'm', text)
  if seq == count(session, 'acked') + 1 then live(queue(session)) end
  resize(session, #text)
  tell_node(session, get(session, 'epoch'))
end

-- Drop what waits for a session, which can then not be resumed.
local function give_up(session)
  local fields = read(key(session))
  if fields.digest ~= '' then remember(session, fields) end
  redis.call('DEL', queue(session))
  resize(session, -size(session))
  redis.call('HSET', key(session), 'acked', get(session, 'out') or '0', 'digest', '',
             'old_digest', '')
  if get(session, 'node') == '' then
    finish(session, 'too slow')
  else
    tell_node(session, 'overflow')
  end
end

-- Give up those for whom most is waiting, if it is too much in all: nobody else is to blame.
function make_room(more)
  local total = tonumber(redis.call('GET', P .. 'total') or '0')
  if total + more <= MAX_TOTAL then return end
  local largest = redis.call('ZREVRANGE', P .. 'sizes', 0, 255, 'WITHSCORES')
  for index = 1, #largest, 2 do
    if total + more <= RELIEVED * MAX_TOTAL then return end
    total = total - tonumber(largest[index + 1])
    if exists(largest[index]) then
      give_up(largest[index])
    else
      resize(largest[index], -tonumber(largest[index + 1]))
    end
  end
end

-- The sessions of a room; those that are lost are taken out.
local function members(room)
  local found = {}
  local entries = redis.call('HGETALL', room_key(room))
  for index = 1, #entries, 2 do
    if exists(entries[index + 1]) then
      found[#found + 1] = entries[index + 1]
    else
      redis.call('HDEL', room_key(room), entries[index])
    end
  end
  return found
end

-- Tell all others of a room; each is told whether it is the polite one.
local function tell_others(session, event, reason)
  local room, rank = get(session, 'room'), count(session, 'rank')
  local known = merge(get(session, 'meta'), cjson.encode({
    type = 'peer', event = event, peer = get(session, 'peer'),
    instance = get(session, 'instance'), reason = reason,
  }))
  for _, other in ipairs(members(room)) do
    if other ~= session and exists(other) then
      local text = merge(cjson.encode({polite = count(other, 'rank') > rank}), known)
      -- Nobody can be made to wait for these, so there is more room for them.
      if has_room(other, text, 2) then append(other, text) else give_up(other) end
    end
  end
end

function finish(session, reason)
  local holder = get(session, 'holder')
  if not holder then return end
  redis.call('SREM', held(holder), session)
  local room, peer = get(session, 'room'), get(session, 'peer')
  if redis.call('HGET', room_key(room), peer) == session then
    redis.call('HDEL', room_key(room), peer)
  end
  resize(session, -size(session))
  tell_others(session, 'left', reason)
  redis.call('DEL', key(session), queue(session))
  if redis.call('EXISTS', room_key(room)) == 0 then redis.call('SREM', P .. 'rooms', room) end
end

local function forget(session, seq)
  if seq <= count(session, 'acked') then return end
  local bytes = 0
  for _, entry in ipairs(redis.call('XRANGE', queue(session), '-', seq .. '-0')) do
    bytes = bytes + #entry[2][2]
  end
  redis.call('XTRIM', queue(session), 'MINID', (seq + 1) .. '-0')
  redis.call('HSET', key(session), 'acked', seq)
  resize(session, -bytes)
end

local function others(session)
  local found = {}
  for _, other in ipairs(members(get(session, 'room'))) do
    if other ~= session then
      local state = 'joined'
      if get(other, 'node') == '' then state = 'away' end
      found[#found + 1] = {get(other, 'peer'), get(other, 'instance'), get(other, 'rank'),
                           get(other, 'meta'), state}
    end
  end
  return found
end

local function seat(session, resumed)
  return {session, get(session, 'epoch'), get(session, 'room'), get(session, 'peer'),
          get(session, 'instance'), get(session, 'rights'), get(session, 'in'),
          get(session, 'rank'), others(session), get(session, 'meta'), get(session, 'claim'), resumed}
end

local function keep(session)
  live(key(session))
  live(queue(session))
  live(room_key(get(session, 'room')))
end

local function sessions()
  local found = 0
  for _, holder in ipairs(redis.call('HKEYS', P .. 'nodes')) do
    found = found + redis.call('SCARD', held(holder))
  end
  return found
end

-- Who takes which place; or why not.
local function place(room, wanted, claim, spare, max_peers)
  local rival
  local there = members(room)
  if wanted ~= '' then rival = redis.call('HGET', room_key(room), wanted) or nil end
  if rival and (claim == 'always' or (claim == 'away' and get(rival, 'node') == '')) then
    tell_node(rival, 'replaced')
    redis.call('SET', P .. 'x:' .. rival, '1', 'PX', WINDOW)
    finish(rival, 'replaced')
    return wanted
  end
  if #there >= max_peers then return nil, 'room-full' end
  if wanted ~= '' and not rival then return wanted end
  if claim == 'always' then return nil, 'auth' end
  return spare
end

local function rank_in(room)
  local highest = 0
  for _, other in ipairs(members(room)) do highest = math.max(highest, count(other, 'rank')) end
  return highest + 1
end

local steps = {}

function steps.join(room, wanted, meta, claim, rights, session, spare, instance, digest, node,
                    max_peers, max_rooms, max_sessions)
  local peer, refused = place(room, wanted, claim, spare, tonumber(max_peers))
  if not peer then return refused end
  if sessions() >= tonumber(max_sessions) then return 'overloaded' end
  local known = redis.call('SISMEMBER', P .. 'rooms', room) == 1
  if not known and redis.call('SCARD', P .. 'rooms') >= tonumber(max_rooms) then
    return 'overloaded'
  end
  redis.call('SADD', P .. 'rooms', room)
  redis.call('SADD', held(node), session)
  redis.call('HSET', key(session), 'room', room, 'peer', peer, 'instance', instance,
             'meta', meta, 'rights', rights, 'claim', claim, 'rank', rank_in(room),
             'digest', digest, 'old_digest', '', 'node', node, 'holder', node, 'epoch', 1,
             'in', 0, 'out', 0, 'acked', 0)
  redis.call('HSET', room_key(room), peer, session)
  for _, name in ipairs({P .. 'rooms', P .. 'sizes', P .. 'total', held(node)}) do live(name) end
  keep(session)
  tell_others(session, 'joined', '')
  return seat(session, 0)
end

local function has_key(fields, digest)
  if digest == '' or not fields.digest or fields.digest == '' then return false end
  return digest == fields.digest or string.find(fields.old_digest or '', digest, 1, true) ~= nil
end

function steps.resume(session, digest, last, new_digest, node, room, acknowledged)
  local fields = read(key(session))
  if not has_key(fields, digest) then return false end
  if fields.room ~= room and room ~= '' then return 'room' end
  last = tonumber(last)
  if last < count(session, 'acked') or last > last_known(session)
     or tonumber(acknowledged) > count(session, 'in') then
    tell_node(session, 'replaced')
    remember(session, fields)
    finish(session, 'lost')
    return false
  end
  trust(session)
  local before = fields.node
  redis.call('HINCRBY', key(session), 'epoch', 1)
  if before ~= '' then tell_node(session, get(session, 'epoch')) end
  -- The keys before hold until the client is known to have the new one: the welcome may be lost, and
  -- a hello of an earlier attempt may come late.
  local old = string.sub(fields.digest .. ' ' .. fields.old_digest, 1, (MAX_KEYS - 1) * 65)
  redis.call('SREM', held(fields.holder), session)
  redis.call('SADD', held(node), session)
  live(held(node))
  redis.call('HSET', key(session), 'digest', new_digest, 'old_digest', old, 'node', node,
             'holder', node)
  forget(session, last)
  keep(session)
  if before == '' then tell_others(session, 'back', '') end
  return seat(session, 1)
end

-- Begin a new session in the place of one that can't be resumed; its key lets in as a token does.
function steps.readmit(session, digest, room, ...)
  local fields = read(P .. 'g:' .. session)
  if not has_key(fields, digest) or fields.room ~= room then return false end
  redis.call('DEL', P .. 'g:' .. session)
  local claim = fields.claim
  if claim ~= 'always' then claim = 'none' end
  return steps.join(fields.room, fields.peer, fields.meta, claim, fields.rights, ...)
end

-- Whether a session is in the hands of this connection ("current"), of another one ("lost"), or
-- nobody knows of it ("forgotten").
local function state_of(session, epoch)
  local current = get(session, 'epoch')
  if current == epoch then return 'current' end
  if current or redis.call('EXISTS', P .. 'x:' .. session) == 1 then return 'lost' end
  return 'forgotten'
end

function steps.confirm(session, epoch)
  if state_of(session, epoch) == 'current' then
    redis.call('HSET', key(session), 'old_digest', '')
  end
end

-- Those who send to the one for whom most is waiting wait, if it is too much in all; nobody else does.
local function is_to_blame(session, text)
  local total = tonumber(redis.call('GET', P .. 'total') or '0')
  if total + #text <= MAX_TOTAL then return false end
  local largest = redis.call('ZREVRANGE', P .. 'sizes', 0, 0, 'WITHSCORES')
  return largest[2] ~= nil and size(session) >= tonumber(largest[2])
end

local function recipients(session, to, instance)
  local room = get(session, 'room')
  local found
  if to == EVERYONE or to == '' then
    found = {}
    for _, other in ipairs(members(room)) do
      if other ~= session then found[#found + 1] = other end
    end
    if to == '' and #found ~= 1 then return nil end
  else
    found = {redis.call('HGET', room_key(room), to) or nil}
    if #found == 0 or found[1] == session or not exists(found[1]) then return nil end
  end
  if instance ~= '' and get(found[1], 'instance') ~= instance then return nil end
  return found
end

function steps.relay(session, epoch, seq, to, instance, text, force)
  local state = state_of(session, epoch)
  if state ~= 'current' then return state end
  local seen = count(session, 'in')
  -- A step whose answer was lost with its connection to Redis may come again.
  if tonumber(seq) <= seen then return 'done' end
  if tonumber(seq) > seen + 1 then return 'forgotten' end
  local found = recipients(session, to, instance)
  if not found then
    redis.call('HSET', key(session), 'in', seq)
    return 'no-peer'
  end
  local full = {}
  for _, other in ipairs(found) do
    if is_to_blame(other, text) or not has_room(other, text, 1) then full[#full + 1] = other end
  end
  if #full > 0 and force ~= '1' then return 'full' end
  redis.call('HSET', key(session), 'in', seq)
  for _, other in ipairs(full) do give_up(other) end
  for _, other in ipairs(found) do append(other, text) end
  return 'done'
end

function steps.skip(session, epoch, seq)
  local state = state_of(session, epoch)
  if state ~= 'current' then return state end
  if tonumber(seq) > count(session, 'in') + 1 then return 'forgotten' end
  redis.call('HSET', key(session), 'in', seq)
  return state
end

function steps.acknowledge(session, epoch, seq)
  local state = state_of(session, epoch)
  if state ~= 'current' then return state end
  if tonumber(seq) > last_known(session) then return 'forgotten' end
  forget(session, tonumber(seq))
  return state
end

function steps.waiting(session, epoch, after, limit)
  local state = state_of(session, epoch)
  if state ~= 'current' then return state end
  if get(session, 'digest') == '' then return 'overflow' end
  if tonumber(after) > last_known(session) then return 'forgotten' end
  trust(session)
  local first, out = tonumber(after) + 1, count(session, 'out')
  if first == out + 1 then return {} end
  local id = first .. '-0'
  local found = redis.call('XRANGE', queue(session), id, '+', 'COUNT', limit)
  if not found[1] or found[1][1] ~= id then return 'forgotten' end
  return found
end

function steps.detach(session, epoch)
  if state_of(session, epoch) ~= 'current' or get(session, 'node') == '' then return end
  redis.call('HSET', key(session), 'node', '')
  if get(session, 'digest') == '' then
    finish(session, 'too slow')
  else
    tell_others(session, 'away', '')
  end
end

function steps.leave(session, epoch, reason)
  if state_of(session, epoch) == 'current' then finish(session, reason) end
end

-- The server that holds a session has waited for its client for long enough.
function steps.expire(session, epoch)
  if state_of(session, epoch) == 'current' and get(session, 'node') == '' then
    finish(session, 'lost')
  end
end

-- A session was lost, which the server of its client still knows.
function steps.remember(session, digest, room, peer, meta, rights, claim)
  remember(session, {digest = digest, room = room, peer = peer, meta = meta, rights = rights,
                     claim = claim})
  finish(session, 'lost')
end

-- A server is there; return how often it was heard, and what is known of all of them.
function steps.tick(holder)
  local beat = redis.call('HINCRBY', P .. 'nodes', holder, 1)
  local total, entries = 0, redis.call('ZRANGE', P .. 'sizes', 0, -1, 'WITHSCORES')
  for index = 1, #entries, 2 do
    if exists(entries[index]) then
      total = total + tonumber(entries[index + 1])
    else
      redis.call('ZREM', P .. 'sizes', entries[index])
    end
  end
  redis.call('SET', P .. 'total', total)
  for _, room in ipairs(redis.call('SRANDMEMBER', P .. 'rooms', 20)) do
    if redis.call('EXISTS', room_key(room)) == 0 then redis.call('SREM', P .. 'rooms', room) end
  end
  for _, name in ipairs({'nodes', 'rooms', 'sizes', 'total', 'h:' .. holder}) do live(P .. name) end
  return {beat, redis.call('HGETALL', P .. 'nodes')}
end

local function is_whole(session, sent, seen)
  local out = count(session, 'out')
  return last_known(session) >= tonumber(sent) and count(session, 'in') >= tonumber(seen)
    and redis.call('HGET', room_key(get(session, 'room')), get(session, 'peer')) == session
    and redis.call('XLEN', queue(session)) == out - count(session, 'acked')
end

-- Keep sessions: each with its epoch, and what its client was sent and has sent; return those that
-- aren't there, or not as they should be, and why.
function steps.check(holder, ...)
  local found, told = {}, {...}
  for index = 1, #told, 4 do
    local session = told[index]
    local state = state_of(session, told[index + 1])
    if state == 'current' and not is_whole(session, told[index + 2], told[index + 3]) then
      finish(session, 'lost')
      state = 'forgotten'
    end
    if state == 'current' then
      redis.call('SADD', held(holder), session)
      keep(session)
    else
      if get(session, 'holder') ~= holder then redis.call('SREM', held(holder), session) end
      found[#found + 1] = {session, state}
    end
  end
  live(held(holder))
  return found
end

function steps.held(holder) return redis.call('SMEMBERS', held(holder)) end

-- End sessions that nobody looks after.
function steps.orphans(holder, ...)
  for _, session in ipairs({...}) do
    if get(session, 'holder') == holder then finish(session, 'lost') end
    redis.call('SREM', held(holder), session)
  end
end

-- Another server has come to its end; let its sessions live until it is clear that nobody comes back.
function steps.adopt(holder)
  for _, session in ipairs(redis.call('SMEMBERS', held(holder))) do
    if exists(session) then keep(session) end
  end
  live(held(holder))
end

-- End a bounded number of the sessions of a server that has ended; return how many are left.
function steps.bury(holder)
  for _, session in ipairs(redis.call('SRANDMEMBER', held(holder), 100)) do
    if get(session, 'holder') == holder then finish(session, 'lost') end
    redis.call('SREM', held(holder), session)
  end
  local left = redis.call('SCARD', held(holder))
  if left == 0 then redis.call('HDEL', P .. 'nodes', holder) end
  return left
end

-- A server ends. Those that are left look after its sessions; if there are none, nothing shall stay.
function steps.retire(holder, ...)
  local silent = {}
  for _, name in ipairs({...}) do silent[name] = true end
  redis.call('HSET', P .. 'nodes', holder, 'gone')
  local nodes = redis.call('HGETALL', P .. 'nodes')
  for index = 1, #nodes, 2 do
    if nodes[index + 1] ~= 'gone' and not silent[nodes[index]] then return end
  end
  for index = 1, #nodes, 2 do
    for _, session in ipairs(redis.call('SMEMBERS', held(nodes[index]))) do
      live(key(session), WINDOW)
      live(queue(session), WINDOW)
      local room = get(session, 'room')
      if room then live(room_key(room), WINDOW) end
    end
    live(held(nodes[index]), WINDOW)
  end
  for _, name in ipairs({'nodes', 'rooms', 'sizes', 'total'}) do live(P .. name, WINDOW) end
end

return steps[STEP](unpack(ARGV, FIRST))
