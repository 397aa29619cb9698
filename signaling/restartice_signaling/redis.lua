-- All that RedisBackend does to sessions and rooms; each call is one indivisible step.
--
-- KEYS[1] is the prefix of all keys, ARGV[1] the name of the step, the rest its arguments.
--   s:<session>  hash: what is known of a session
--   q:<session>  stream: what it is to be told, with the message's number as the entry's id
--   r:<room>     hash: peer -> session
--   expiry       sorted set: session -> when (ms) it ends, unless its server says otherwise
--   n:<node>     channel: "session epoch": look at it; "session overflow": it was given up
local P, STEP = KEYS[1], ARGV[1]
local EVERYONE = '*'

local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function key(session) return P .. 's:' .. session end
local function queue(session) return P .. 'q:' .. session end
local function room_key(room) return P .. 'r:' .. room end
local function get(session, field) return redis.call('HGET', key(session), field) end
local function count(session, field) return tonumber(get(session, field) or '0') end

local function tell_node(session, word)
  local node = get(session, 'node')
  if node and node ~= '' then redis.call('PUBLISH', P .. 'n:' .. node, session .. ' ' .. word) end
end

local function has_room(session, text, max_count, max_bytes)
  local waiting = count(session, 'out') - count(session, 'acked')
  if waiting == 0 then return true end
  return waiting < max_count and count(session, 'bytes') + #text <= max_bytes
end

local function append(session, text)
  local seq = redis.call('HINCRBY', key(session), 'out', 1)
  redis.call('XADD', queue(session), seq .. '-0', 'm', text)
  redis.call('HINCRBY', key(session), 'bytes', #text)
  tell_node(session, get(session, 'epoch'))
end

local finish

-- Drop what waits for a session, which can then not be resumed.
local function give_up(session, max_count, max_bytes)
  redis.call('DEL', queue(session))
  redis.call('HSET', key(session), 'acked', get(session, 'out') or '0', 'bytes', 0,
             'digest', '', 'old_digest', '')
  if get(session, 'node') == '' then
    finish(session, 'too slow', max_count, max_bytes)
  else
    tell_node(session, 'overflow')
  end
end

-- Tell all others of a room; each is told whether it is the polite one.
local function tell_others(session, event, reason, max_count, max_bytes)
  local room, rank = get(session, 'room'), count(session, 'rank')
  local head = '{"type":"peer","event":"' .. event .. '","peer":"' .. get(session, 'peer')
    .. '","instance":"' .. get(session, 'instance') .. '","meta":' .. get(session, 'meta')
    .. ',"reason":' .. cjson.encode(reason) .. ',"polite":'
  local members = redis.call('HVALS', room_key(room))
  for _, other in ipairs(members) do
    if other ~= session and redis.call('EXISTS', key(other)) == 1 then
      local text = head .. tostring(count(other, 'rank') > rank) .. '}'
      -- Nobody can be made to wait for these, so there is more room for them.
      if has_room(other, text, 2 * max_count, 2 * max_bytes) then
        append(other, text)
      else
        give_up(other, max_count, max_bytes)
      end
    end
  end
end

function finish(session, reason, max_count, max_bytes)
  if redis.call('EXISTS', key(session)) == 0 then
    redis.call('ZREM', P .. 'expiry', session)
    return
  end
  local room, peer = get(session, 'room'), get(session, 'peer')
  if redis.call('HGET', room_key(room), peer) == session then
    redis.call('HDEL', room_key(room), peer)
  end
  if redis.call('EXISTS', room_key(room)) == 0 then redis.call('SREM', P .. 'rooms', room) end
  redis.call('ZREM', P .. 'expiry', session)
  tell_others(session, 'left', reason, max_count, max_bytes)
  redis.call('DEL', key(session), queue(session))
end

local function forget(session, seq)
  local acked = count(session, 'acked')
  if seq <= acked then return end
  local bytes = 0
  for _, entry in ipairs(redis.call('XRANGE', queue(session), '-', seq .. '-0')) do
    bytes = bytes + #entry[2][2]
  end
  redis.call('XTRIM', queue(session), 'MINID', (seq + 1) .. '-0')
  redis.call('HSET', key(session), 'acked', seq)
  redis.call('HINCRBY', key(session), 'bytes', -bytes)
end

local function others(session)
  local found = {}
  local members = redis.call('HGETALL', room_key(get(session, 'room')))
  for index = 1, #members, 2 do
    local other = members[index + 1]
    if other ~= session then
      local state = 'away'
      if get(other, 'node') ~= '' then state = 'joined' end
      found[#found + 1] = {members[index], get(other, 'instance'), get(other, 'rank'),
                           get(other, 'meta'), state}
    end
  end
  return found
end

local function seat(session)
  return {session, get(session, 'epoch'), get(session, 'room'), get(session, 'peer'),
          get(session, 'instance'), get(session, 'rights'), get(session, 'in'),
          get(session, 'rank'), others(session)}
end

local function keep(session, window)
  redis.call('ZADD', P .. 'expiry', now() + window, session)
end

local steps = {}

function steps.join(session, room, wanted, spare, meta, claim, rights, digest, instance, node,
                    max_peers, max_rooms, max_sessions, window, max_count, max_bytes)
  max_count, max_bytes = tonumber(max_count), tonumber(max_bytes)
  local peer, rival = wanted, nil
  if wanted ~= '' then rival = redis.call('HGET', room_key(room), wanted) or nil end
  local replaces = rival and (claim == 'always' or (claim == 'away' and get(rival, 'node') == ''))
  if replaces then
    tell_node(rival, 'replaced')
    finish(rival, 'replaced', max_count, max_bytes)
  else
    if redis.call('HLEN', room_key(room)) >= tonumber(max_peers) then return 'room-full' end
    if wanted == '' or rival then
      if claim == 'always' then return 'auth' end
      peer = spare
    end
  end
  if redis.call('ZCARD', P .. 'expiry') >= tonumber(max_sessions) then return 'overloaded' end
  local known = redis.call('SISMEMBER', P .. 'rooms', room) == 1
  if not known and redis.call('SCARD', P .. 'rooms') >= tonumber(max_rooms) then
    return 'overloaded'
  end
  redis.call('SADD', P .. 'rooms', room)
  redis.call('HSET', key(session), 'room', room, 'peer', peer, 'instance', instance,
             'meta', meta, 'rights', rights, 'rank', redis.call('INCR', P .. 'rank'),
             'digest', digest, 'old_digest', '', 'node', node, 'epoch', 1,
             'in', 0, 'out', 0, 'acked', 0, 'bytes', 0)
  redis.call('HSET', room_key(room), peer, session)
  keep(session, tonumber(window))
  tell_others(session, 'joined', '', max_count, max_bytes)
  return seat(session)
end

function steps.resume(session, digest, last, new_digest, node, window, max_count, max_bytes)
  local known, old = get(session, 'digest'), get(session, 'old_digest')
  if not known or digest == '' then return false end
  if digest ~= known and not string.find(old, digest, 1, true) then return false end
  last = tonumber(last)
  if last < count(session, 'acked') or last > count(session, 'out') then
    finish(session, 'lost', tonumber(max_count), tonumber(max_bytes))
    return false
  end
  local before = get(session, 'node')
  redis.call('HINCRBY', key(session), 'epoch', 1)
  if before ~= '' then tell_node(session, get(session, 'epoch')) end
  -- The keys before hold until the client is known to have the new one: the welcome may be lost, and
  -- a hello of an earlier attempt may come late.
  old = string.sub(known .. ' ' .. old, 1, 15 * 65)
  redis.call('HSET', key(session), 'digest', new_digest, 'old_digest', old, 'node', node)
  forget(session, last)
  keep(session, tonumber(window))
  if before == '' then tell_others(session, 'back', '', tonumber(max_count), tonumber(max_bytes)) end
  return seat(session)
end

local function is_current(session, epoch) return get(session, 'epoch') == epoch end

function steps.confirm(session, epoch)
  if is_current(session, epoch) then redis.call('HSET', key(session), 'old_digest', '') end
end

local function recipients(session, to, instance)
  local room = get(session, 'room')
  if to == EVERYONE then
    local found = {}
    for _, other in ipairs(redis.call('HVALS', room_key(room))) do
      if other ~= session then found[#found + 1] = other end
    end
    return found
  end
  local found
  if to == '' then
    if redis.call('HLEN', room_key(room)) ~= 2 then return nil end
    for _, other in ipairs(redis.call('HVALS', room_key(room))) do
      if other ~= session then found = other end
    end
  else
    found = redis.call('HGET', room_key(room), to) or nil
  end
  if not found or found == session then return nil end
  if instance ~= '' and get(found, 'instance') ~= instance then return nil end
  return {found}
end

function steps.relay(session, epoch, seq, to, instance, text, force, max_count, max_bytes)
  if not is_current(session, epoch) then return 'lost' end
  max_count, max_bytes = tonumber(max_count), tonumber(max_bytes)
  -- A step whose answer was lost with its connection to Redis may come again.
  if tonumber(seq) <= count(session, 'in') then return 'done' end
  local found = recipients(session, to, instance)
  if not found then
    redis.call('HSET', key(session), 'in', seq)
    return 'no-peer'
  end
  local full = {}
  for _, other in ipairs(found) do
    if not has_room(other, text, max_count, max_bytes) then full[#full + 1] = other end
  end
  if #full > 0 and force ~= '1' then return 'full' end
  for _, other in ipairs(full) do give_up(other, max_count, max_bytes) end
  for _, other in ipairs(found) do
    if redis.call('EXISTS', key(other)) == 1 then append(other, text) end
  end
  redis.call('HSET', key(session), 'in', seq)
  return 'done'
end

function steps.skip(session, epoch, seq)
  if is_current(session, epoch) then redis.call('HSET', key(session), 'in', seq) end
end

function steps.acknowledge(session, epoch, seq)
  if is_current(session, epoch) then forget(session, tonumber(seq)) end
end

function steps.waiting(session, epoch, after, limit)
  if not is_current(session, epoch) then return {} end
  return redis.call('XRANGE', queue(session), (tonumber(after) + 1) .. '-0', '+', 'COUNT', limit)
end

function steps.detach(session, epoch, window, max_count, max_bytes)
  if not is_current(session, epoch) then return end
  max_count, max_bytes = tonumber(max_count), tonumber(max_bytes)
  redis.call('HSET', key(session), 'node', '')
  if get(session, 'digest') == '' then
    finish(session, 'too slow', max_count, max_bytes)
    return
  end
  keep(session, tonumber(window))
  tell_others(session, 'away', '', max_count, max_bytes)
end

function steps.leave(session, epoch, reason, max_count, max_bytes)
  if is_current(session, epoch) then
    finish(session, reason, tonumber(max_count), tonumber(max_bytes))
  end
end

-- Keep the sessions with connections; end a bounded number of those whose time is over.
function steps.sweep(window, max_count, max_bytes, ...)
  for _, session in ipairs({...}) do
    if redis.call('ZSCORE', P .. 'expiry', session) then keep(session, tonumber(window)) end
  end
  local over = redis.call('ZRANGEBYSCORE', P .. 'expiry', '-inf', now(), 'LIMIT', 0, 100)
  for _, session in ipairs(over) do
    finish(session, 'lost', tonumber(max_count), tonumber(max_bytes))
  end
end

return steps[STEP](unpack(ARGV, 2))
