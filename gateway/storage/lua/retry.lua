-- ARGV: effect, quoted; fence; wait in ms; error. Returns 1, or 0 under a stale fence.
local effect = KEY.EFFECT .. ARGV[1]
local found = redis.call('HMGET', effect, 's', 'f')
if found[1] ~= 'claimed' or found[2] ~= ARGV[2] then return 0 end
local at = digits(now_ms() + tonumber(ARGV[3]))
redis.call('HSET', effect, 's', 'pending', 'u', at, 'e', ARGV[4])
redis.call('ZADD', KEY.EFFECTS_OPEN, at, ARGV[1])
return 1
