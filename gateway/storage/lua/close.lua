-- ARGV: effect, quoted; fence; the state it ends in; error or ''; detail or ''. Returns 1, or 0 under a stale fence.
local effect = KEY.EFFECT .. ARGV[1]
local found = redis.call('HMGET', effect, 's', 'f')
if found[1] ~= 'claimed' or found[2] ~= ARGV[2] then return 0 end
enter(ARGV[1], ARGV[3])
redis.call('HDEL', effect, 'e', 'x')
if ARGV[4] ~= '' then redis.call('HSET', effect, 'e', ARGV[4]) end
if ARGV[5] ~= '' then redis.call('HSET', effect, 'd', ARGV[5]) end
redis.call('ZREM', KEY.EFFECTS_OPEN, ARGV[1])
return 1
