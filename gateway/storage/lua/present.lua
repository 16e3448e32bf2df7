-- A token shown: the key behind it, its use counted against the key's and the tenant's limit, and noted.
-- ARGV: digest of the token, limit of a key that has none of its own, limit of the tenant; requests a minute.
-- Returns {} where there is no such key, else {key, limit, remaining, reset s, tenant limit, remaining, reset s};
-- a remaining below zero is a request over the limit, which counts against neither.
local owner = redis.call('GET', KEY.API_TOKEN .. ARGV[1])
local body = owner and redis.call('HGET', KEY.API_KEY .. owner, 'b')
if not body then return {} end
local key = cjson.decode(body)
local tenant = string.match(owner, '^[^:]*')
local now = now_ms()
local window = math.floor(now / 60000)
local past = (now % 60000) / 60000

-- Two counters make a sliding window: what the last minute's still counts for, and this one's.
local function used(name)
  local found = redis.call('MGET', KEY.RATE .. name .. ':' .. digits(window - 1), KEY.RATE .. name .. ':' .. digits(window))
  return math.floor((tonumber(found[1]) or 0) * (1 - past)) + (tonumber(found[2]) or 0)
end
local function count(name)
  local counter = KEY.RATE .. name .. ':' .. digits(window)
  if redis.call('INCR', counter) == 1 then redis.call('PEXPIRE', counter, 120000) end
end

local limit = type(key.limit) == 'number' and key.limit or tonumber(ARGV[2])
local all = tonumber(ARGV[3])
local of_key, of_tenant = limit - used('key:' .. owner) - 1, all - used('tenant:' .. tenant) - 1
if of_key >= 0 and of_tenant >= 0 then
  count('key:' .. owner)
  count('tenant:' .. tenant)
end
local last = tonumber(redis.call('HGET', KEY.API_KEY .. owner, 'u') or '0')
if now - last > 60000 then redis.call('HSET', KEY.API_KEY .. owner, 'u', digits(now)) end
local reset = math.ceil((1 - past) * 60)
return {body, limit, of_key, reset, all, of_tenant, reset}
