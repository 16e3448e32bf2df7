-- ARGV: effect, quoted; grace in ms. Puts a dead effect into the outbox again. Returns 1, or 0 where it is not dead.
-- Its attempts go on being counted: one that may have got through before is looked for first.
local effect = KEY.EFFECT .. ARGV[1]
local found = redis.call('HMGET', effect, 's', 'k', 'q', 'n')
if found[1] ~= 'dead' then return 0 end
local now = now_ms()
enter(ARGV[1], 'pending')
redis.call('HSET', effect, 'u', 0, 'z', digits(now), 'a', found[4])
redis.call('ZADD', KEY.EFFECTS_OPEN, digits(now + tonumber(ARGV[2])), ARGV[1])
if not found[3] then
  redis.call('HSET', effect, 'q', 1)
  redis.call('RPUSH', KEY.OUTBOX, found[2] .. ' ' .. ARGV[1])
end
return 1
