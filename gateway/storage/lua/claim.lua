-- ARGV: effect, quoted; lease in ms.
-- Returns {body, fence, attempt, attempts before it was put to work, how long ago that was (ms), claims in a row that
-- were lost, owner, kind, when it was asked for (ms), 1 where an attempt went as far as to act}, or false where it cannot be had now.
local effect = KEY.EFFECT .. ARGV[1]
local now = now_ms()
local found = redis.call('HMGET', effect, 's', 'u', 'b', 'a', 'z', 'm', 'o', 'k', 'g')
if found[1] ~= 'pending' and found[1] ~= 'failed' and found[1] ~= 'claimed' then return false end
if tonumber(found[2]) > now then return false end
local lost = found[1] == 'claimed' and redis.call('HINCRBY', effect, 'x', 1) or 0
local asked = string.match(found[6], '^%d+')
local ends = digits(now + tonumber(ARGV[2]))
if found[1] ~= 'claimed' then enter(ARGV[1], 'claimed') end
redis.call('HSET', effect, 'u', ends)
redis.call('ZADD', KEY.EFFECTS_OPEN, ends, ARGV[1])
return {
  found[3],
  redis.call('HINCRBY', effect, 'f', 1),
  redis.call('HINCRBY', effect, 'n', 1),
  tonumber(found[4] or 0),
  math.max(0, now - tonumber(found[5] or asked)),
  lost,
  found[7],
  found[8],
  asked,
  tonumber(found[9] or 0),
}
