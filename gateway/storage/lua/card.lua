-- ARGV: tenant:request, quoted; rendered version; body. A card that shows less than the kept one changes nothing.
-- One that shows what was asked for is no longer behind.
local kept = redis.call('HGET', KEY.CARD .. ARGV[1], 'v')
if kept and tonumber(kept) > tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEY.CARD .. ARGV[1], 'v', ARGV[2], 'b', ARGV[3])
local wanted = redis.call('HGET', KEY.CARD .. ARGV[1], 'w')
if not wanted or tonumber(wanted) <= tonumber(ARGV[2]) then redis.call('ZREM', KEY.CARDS_BEHIND, ARGV[1]) end
return 1
