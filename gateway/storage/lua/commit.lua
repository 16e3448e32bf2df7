-- One commit: all of it or nothing. Everything is checked before the first write, for a script is not rolled back.
--
-- ARGV[1], JSON (ids quoted as parts of keys):
--   t, i, a     tenant, instance, aggregate          v, s, o     version, state, whether it is open
--   k           its member in the open indexes       d, r        definition digest, latest request ('' for none)
--   requests    [{r request, o whether it is open, k its member in the index of open ones,
--                 w [['asked' or 'decided', person, member] ...]} ...]      kept  how many a person's list holds
--   events      how many                             feed        how many commits the feed keeps, about
--   effects     [[effect, kind] ...], due again after grace ms
--   revived     [effect ...] that are dead, to be tried once more; due again after grace ms
--   cards       [request ...] whose cards are to show this version; looked after from behind ms on
--   abandoned   [effect ...] that nobody holds, and that shall not take place
--   cancels     [kind ...] of effects that are cancelled where nobody holds them, unless an attempt may have acted
--   deadlines   [[member, due us] ...]               cleared     [member ...]
-- and, where there is one:
--   pin, idempotency    the part its key is made of (ttl ms with the last)
--   settled     {e effect, f fence, s state it ends in}
-- ARGV[2..] are bodies, in this order: instance, requests, definition, idempotency record, settled detail, events,
-- effects, deadlines.
-- Returns {'stored'}, {'conflict'}, {'stale'} or {'repeated', the record kept under the key}.
local h = cjson.decode(ARGV[1])
local tenant = h.t .. ':'
local instance = KEY.INSTANCE .. tenant .. h.i
local runs = KEY.RUNS .. tenant .. h.a

if h.idempotency then
  local record = redis.call('GET', KEY.IDEMPOTENCY .. tenant .. h.idempotency)
  if record then return {'repeated', record} end
end

local WAITING = {pending = true, failed = true, dead = true}
local settled = h.settled and KEY.EFFECT .. h.settled.e
if settled then
  local claim = redis.call('HMGET', settled, 's', 'f')
  if claim[1] ~= 'claimed' or tonumber(claim[2]) ~= h.settled.f then return {'stale'} end
end

for _, id in ipairs(h.revived) do
  if redis.call('HGET', KEY.EFFECT .. id, 's') ~= 'dead' then return {'stale'} end
end

for _, id in ipairs(h.abandoned) do
  if not WAITING[redis.call('HGET', KEY.EFFECT .. id, 's')] then return {'stale'} end
end

local old = redis.call('HMGET', instance, 'v', 's', 'o', 'k')
if h.v == 1 then
  if old[1] then return {'conflict'} end
  local current = redis.call('LINDEX', runs, -1)
  if current and redis.call('HGET', KEY.INSTANCE .. tenant .. current, 'o') == '1' then return {'conflict'} end
elseif tonumber(old[1]) ~= h.v - 1 then
  return {'conflict'}
end

local now = now_ms()
local place = 1
local function body()
  place = place + 1
  return ARGV[place]
end

redis.call('HSET', instance, 'v', h.v, 's', h.s, 'o', h.o and '1' or '0', 'k', h.k, 'd', h.d, 'r', h.r, 'b', body())
if h.v == 1 then redis.call('RPUSH', runs, h.i) end
if old[3] == '1' and (not h.o or old[4] ~= h.k) then redis.call('ZREM', KEY.OPEN .. h.t, old[4]) end
if old[3] == '1' and (not h.o or old[4] ~= h.k or old[2] ~= h.s) then
  redis.call('ZREM', KEY.OPEN_IN .. tenant .. old[2], old[4])
end
redis.call('ZADD', (h.o and KEY.OPEN or KEY.CLOSED) .. h.t, 0, h.k)
redis.call('ZADD', (h.o and KEY.OPEN_IN or KEY.CLOSED_IN) .. tenant .. h.s, 0, h.k)

for _, request in ipairs(h.requests) do
  redis.call('HSET', KEY.REQUEST .. tenant .. request.r, 'i', h.i, 'b', body())
  if request.o then
    redis.call('ZADD', KEY.REQUESTS_OPEN .. h.t, 0, request.k)
  else
    redis.call('ZREM', KEY.REQUESTS_OPEN .. h.t, request.k)
  end
  for _, listed in ipairs(request.w) do
    local list = (listed[1] == 'asked' and KEY.REQUESTS_ASKED or KEY.REQUESTS_DECIDED) .. tenant .. listed[2]
    redis.call('ZADD', list, 0, listed[3])
    redis.call('ZREMRANGEBYRANK', list, 0, -h.kept - 1)
  end
end
if h.pin then redis.call('SET', KEY.DEFINITION .. h.pin, body(), 'NX') end
if h.idempotency then redis.call('SET', KEY.IDEMPOTENCY .. tenant .. h.idempotency, body(), 'PX', h.ttl) end
if settled then
  enter(h.settled.e, h.settled.s)
  redis.call('HSET', settled, 'd', body())
  redis.call('HDEL', settled, 'e', 'x')
  redis.call('ZREM', KEY.EFFECTS_OPEN, h.settled.e)
end

for _, id in ipairs(h.abandoned) do
  enter(id, 'cancelled')
  redis.call('ZREM', KEY.EFFECTS_OPEN, id)
end
if #h.cancels > 0 then
  local acts = {}
  for _, kind in ipairs(h.cancels) do acts[kind] = true end
  for _, id in ipairs(redis.call('LRANGE', KEY.EFFECTS .. tenant .. h.i, 0, -1)) do
    local found = redis.call('HMGET', KEY.EFFECT .. id, 's', 'k', 'g')
    -- One that may have acted is left to a worker, who says so; of a dead one that was said.
    if WAITING[found[1]] and acts[found[2]] and (not found[3] or found[1] == 'dead') then
      enter(id, 'cancelled')
      redis.call('ZREM', KEY.EFFECTS_OPEN, id)
    end
  end
end

local last = 0
for _ = 1, h.events do last = redis.call('RPUSH', KEY.LEDGER .. tenant .. h.i, body()) end
if h.events > 0 then
  redis.call('SADD', KEY.MOVED .. h.t, h.i)
  redis.call('XADD', KEY.FEED .. h.t, 'MAXLEN', '~', h.feed, '*', 'i', h.i, 'n', last, 'c', h.events)
end
for _, effect in ipairs(h.effects) do
  local id, kind, text = effect[1], effect[2], body()
  -- An effect that is there already stays as it is: written again, a finished one would take place again.
  if redis.call('EXISTS', KEY.EFFECT .. id) == 0 then
    local member = string.format('%018.0f', now) .. ':' .. id
    redis.call(
      'HSET', KEY.EFFECT .. id, 'f', 0, 'n', 0, 'u', 0, 'k', kind, 'q', 1, 'b', text, 'm', member, 'o', tenant .. h.i
    )
    enter(id, 'pending')
    redis.call('RPUSH', KEY.EFFECTS .. tenant .. h.i, id)
    redis.call('ZADD', KEY.EFFECTS_OPEN, digits(now + h.grace), id)
    redis.call('RPUSH', KEY.OUTBOX, kind .. ' ' .. id)
  end
end
for _, id in ipairs(h.revived) do
  -- Its attempts and fences go on being counted: what may have got through before is looked for first.
  local effect = KEY.EFFECT .. id
  enter(id, 'pending')
  redis.call('HSET', effect, 'u', 0, 'z', digits(now), 'a', redis.call('HGET', effect, 'n'))
  redis.call('ZADD', KEY.EFFECTS_OPEN, digits(now + h.grace), id)
  if redis.call('HSETNX', effect, 'q', 1) == 1 then
    redis.call('RPUSH', KEY.OUTBOX, redis.call('HGET', effect, 'k') .. ' ' .. id)
  end
end
for _, request in ipairs(h.cards) do
  redis.call('HSET', KEY.CARD .. tenant .. request, 'w', h.v)
  redis.call('HDEL', KEY.CARD .. tenant .. request, 't')
  redis.call('ZADD', KEY.CARDS_BEHIND, digits(now + h.behind), tenant .. request)
end
for _, member in ipairs(h.cleared) do
  redis.call('ZREM', KEY.DEADLINES, member)
  redis.call('HDEL', KEY.DEADLINE_BODIES, member)
end
for _, deadline in ipairs(h.deadlines) do
  redis.call('ZADD', KEY.DEADLINES, deadline[2], deadline[1])
  redis.call('HSET', KEY.DEADLINE_BODIES, deadline[1], body())
end
return {'stored'}
