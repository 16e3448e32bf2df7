-- ARGV: lane, quoted; effect, quoted; 'answered', 'failed' or 'untried'; how many at once; failures in a row that open
-- the circuit; for how long it opens, in ms; grace in ms of an effect that is called.
local now = now_ms()
local circuit, inside, waiting = KEY.LANE .. ARGV[1], KEY.LANE_INSIDE .. ARGV[1], KEY.LANE_WAITING .. ARGV[1]
redis.call('ZREM', inside, ARGV[2])
local found = redis.call('HMGET', circuit, 'u', 'p')
if ARGV[3] == 'answered' then
  redis.call('DEL', circuit)
elseif found[2] == ARGV[2] then
  redis.call('HDEL', circuit, 'p')
  if ARGV[3] == 'failed' then
    redis.call('HINCRBY', circuit, 'f', 1)
    redis.call('HSET', circuit, 'u', digits(now + tonumber(ARGV[6])))
  end
elseif ARGV[3] == 'failed' then
  -- One that was sent before the circuit opened tells nothing new.
  local failures = redis.call('HINCRBY', circuit, 'f', 1)
  if not found[1] and failures >= tonumber(ARGV[5]) then
    redis.call('HSET', circuit, 'u', digits(now + tonumber(ARGV[6])))
  end
end

local left = redis.call('HGET', circuit, 'u')
if left and tonumber(left) > now then return 0 end
redis.call('ZREMRANGEBYSCORE', inside, '-inf', now)
local room = left and 1 or tonumber(ARGV[4]) - redis.call('ZCARD', inside)
local called = 0
while called < room do
  local id = redis.call('ZPOPMIN', waiting)[1]
  if not id then break end
  local effect = KEY.EFFECT .. id
  local waits = redis.call('HMGET', effect, 's', 'k', 'q')
  if waits[1] == 'pending' then
    redis.call('HSET', effect, 'u', 0)
    redis.call('ZADD', KEY.EFFECTS_OPEN, digits(now + tonumber(ARGV[7])), id)
    if not waits[3] then
      redis.call('HSET', effect, 'q', 1)
      redis.call('RPUSH', KEY.OUTBOX, waits[2] .. ' ' .. id)
    end
    called = called + 1
  end
end
return called
