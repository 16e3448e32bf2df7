-- ARGV: effect, quoted; lease in ms. Returns {body, fence, attempt}, or false where it cannot be had now.
local effect = KEY.EFFECT .. ARGV[1]
local now = now_ms()
local found = redis.call('HMGET', effect, 's', 'u', 'b')
if found[1] ~= 'pending' and found[1] ~= 'claimed' then return false end
if tonumber(found[2]) > now then return false end
local ends = digits(now + tonumber(ARGV[2]))
redis.call('HSET', effect, 's', 'claimed', 'u', ends)
redis.call('ZADD', KEY.EFFECTS_OPEN, ends, ARGV[1])
return {found[3], redis.call('HINCRBY', effect, 'f', 1), redis.call('HINCRBY', effect, 'n', 1)}
