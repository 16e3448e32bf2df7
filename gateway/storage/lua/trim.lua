-- What is archived leaves the store, and a note of it stays; all of it or nothing.
-- ARGV: tenant, instance, quoted; version; sequence of its head; the note; then each request, quoted.
-- Returns 1, or 0 where the instance is open, stands elsewhere, is not sealed to its end, or has work left.
local tenant, instance = ARGV[1] .. ':', ARGV[1] .. ':' .. ARGV[2]
local found = redis.call('HMGET', KEY.INSTANCE .. instance, 'v', 'o', 's', 'k')
if found[1] ~= ARGV[3] or found[2] ~= '0' then return 0 end
if redis.call('LLEN', KEY.LEDGER .. instance) ~= tonumber(ARGV[4]) then return 0 end
if redis.call('SISMEMBER', KEY.MOVED .. ARGV[1], ARGV[2]) == 1 then return 0 end
local DONE = {succeeded = true, cancelled = true}
local effects = redis.call('LRANGE', KEY.EFFECTS .. instance, 0, -1)
for _, id in ipairs(effects) do
  local state = redis.call('HGET', KEY.EFFECT .. id, 's')
  if state and not DONE[state] then return 0 end
end

for place = 6, #ARGV do
  local card = KEY.CARD .. tenant .. ARGV[place]
  redis.call('DEL', KEY.REQUEST .. tenant .. ARGV[place], card)
  redis.call('ZREM', KEY.CARDS_BEHIND, tenant .. ARGV[place])
  local copy = 1
  while redis.call('DEL', card .. ':' .. copy) == 1 do copy = copy + 1 end
end
for _, id in ipairs(effects) do
  redis.call('DEL', KEY.EFFECT .. id)
  redis.call('ZREM', KEY.EFFECTS_OPEN, id)
end
redis.call('DEL', KEY.INSTANCE .. instance, KEY.LEDGER .. instance, KEY.EFFECTS .. instance)
redis.call('ZREM', KEY.CLOSED .. ARGV[1], found[4])
redis.call('ZREM', KEY.CLOSED_IN .. tenant .. found[3], found[4])
redis.call('SET', KEY.ARCHIVED .. instance, ARGV[5])
redis.call('ZADD', KEY.ARCHIVE .. ARGV[1], 0, found[4])
return 1
