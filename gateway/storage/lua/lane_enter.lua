-- ARGV: lane, quoted; effect, quoted; fence; lease in ms; how many at once; spread in [0, 1); then what to say of an
-- effect that waits because the circuit is open, and because the lane is full.
-- Returns 1 where the effect is in the lane, else 0: it was put off, or the claim is stale.
local now = now_ms()
local circuit, inside, waiting = KEY.LANE .. ARGV[1], KEY.LANE_INSIDE .. ARGV[1], KEY.LANE_WAITING .. ARGV[1]
local id, effect = ARGV[2], KEY.EFFECT .. ARGV[2]
local claim = redis.call('HMGET', effect, 's', 'f')
if claim[1] ~= 'claimed' or claim[2] ~= ARGV[3] then return 0 end

local function put_off(wait, why)
  local at = digits(now + wait)
  enter(id, 'pending')
  redis.call('HSET', effect, 'u', at, 'e', why)
  redis.call('HINCRBY', effect, 'n', -1)
  redis.call('HDEL', effect, 'x')
  redis.call('ZADD', KEY.EFFECTS_OPEN, at, id)
  redis.call('ZADD', waiting, 'NX', now, id)
  return 0
end

redis.call('ZREMRANGEBYSCORE', inside, '-inf', now)
local found = redis.call('HMGET', circuit, 'u', 'p')
-- Who waits is called when there is room. The wait is for when nobody is left to call, and the longer the more wait.
local patience = 5000 * (1 + tonumber(ARGV[6])) + 20 * redis.call('ZCARD', waiting)
if found[1] then
  local left = tonumber(found[1]) - now
  if left > 0 then return put_off(left + 1000 * tonumber(ARGV[6]), ARGV[7]) end
  if found[2] and found[2] ~= id and redis.call('ZSCORE', inside, found[2]) then return put_off(patience, ARGV[7]) end
end
if not redis.call('ZSCORE', inside, id) and redis.call('ZCARD', inside) >= tonumber(ARGV[5]) then
  return put_off(patience, ARGV[8])
end
if found[1] then redis.call('HSET', circuit, 'p', id) end
redis.call('ZADD', inside, now + tonumber(ARGV[4]), id)
redis.call('ZREM', waiting, id)
-- From here on nobody can say that it did not act.
redis.call('HSET', effect, 'g', 1)
return 1
