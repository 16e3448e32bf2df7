-- ARGV: effect, quoted; fence; lease in ms. Returns 1, or 0 where the lease is over or somebody else's.
local effect = KEY.EFFECT .. ARGV[1]
local now = now_ms()
local found = redis.call('HMGET', effect, 's', 'f', 'u')
if found[1] ~= 'claimed' or found[2] ~= ARGV[2] or tonumber(found[3]) <= now then return 0 end
local ends = digits(now + tonumber(ARGV[3]))
redis.call('HSET', effect, 'u', ends)
redis.call('ZADD', KEY.EFFECTS_OPEN, ends, ARGV[1])
return 1
