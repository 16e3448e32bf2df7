-- ARGV: effect, quoted; fence; wait in ms; why; 'failed', or 'pending' where nothing was tried, so that it does not count.
-- Returns 1, or 0 under a stale fence.
local effect = KEY.EFFECT .. ARGV[1]
local found = redis.call('HMGET', effect, 's', 'f')
if found[1] ~= 'claimed' or found[2] ~= ARGV[2] then return 0 end
local at = digits(now_ms() + tonumber(ARGV[3]))
enter(ARGV[1], ARGV[5])
redis.call('HSET', effect, 'u', at, 'e', ARGV[4])
redis.call('HDEL', effect, 'x')
if ARGV[5] == 'pending' then redis.call('HINCRBY', effect, 'n', -1) end
redis.call('ZADD', KEY.EFFECTS_OPEN, at, ARGV[1])
return 1
