-- ARGV: grace in ms; how many. Returns the effects whose time has come, each now in the outbox exactly once.
local now = now_ms()
local again = digits(now + tonumber(ARGV[1]))
local overdue = redis.call('ZRANGE', KEY.EFFECTS_OPEN, '-inf', digits(now), 'BYSCORE', 'LIMIT', 0, tonumber(ARGV[2]))
for _, id in ipairs(overdue) do
  local found = redis.call('HMGET', KEY.EFFECT .. id, 'k', 'q')
  redis.call('ZADD', KEY.EFFECTS_OPEN, again, id)
  -- While no relay runs, an entry waits where it is; one more with every sweep would only be dropped later.
  if not found[2] then
    redis.call('HSET', KEY.EFFECT .. id, 'q', 1)
    redis.call('RPUSH', KEY.OUTBOX, found[1] .. ' ' .. id)
  end
end
return overdue
