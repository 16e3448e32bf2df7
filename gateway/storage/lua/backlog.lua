-- ARGV: states and kinds, as they name listings.
-- Returns {entries in the outbox, {how many, age of the oldest in ms} for each listing ...}.
local now = now_ms()
local found = {redis.call('LLEN', KEY.OUTBOX)}
for place = 1, #ARGV do
  local listing = KEY.EFFECTS_IN .. ARGV[place]
  local oldest = redis.call('ZRANGE', listing, 0, 0)[1]
  local age = oldest and now - tonumber(string.match(oldest, '^%d+')) or 0
  found[place + 1] = {redis.call('ZCARD', listing), math.max(0, age)}
end
return found
