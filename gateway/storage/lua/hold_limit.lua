-- ARGV: ms; limit names. Holds each limit that long; one that is held longer stays so.
local now = now_ms()
local until_ms = now + tonumber(ARGV[1])
for at = 2, #ARGV do
  local limit = KEY.LIMIT .. ARGV[at]
  local state = redis.call('HMGET', limit, 'f', 'h')
  local held = math.max(until_ms, tonumber(state[2] or '0'))
  redis.call('HSET', limit, 'h', digits(held))
  redis.call('PEXPIRE', limit, digits(math.max(held, tonumber(state[1] or '0')) - now + 60000))
end
return 1
