-- ARGV: tenant:request, quoted; rendered version; body. A card that shows less than the kept one changes nothing.
local kept = redis.call('HGET', KEY.CARD .. ARGV[1], 'v')
if kept and tonumber(kept) > tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEY.CARD .. ARGV[1], 'v', ARGV[2], 'b', ARGV[3])
return 1
