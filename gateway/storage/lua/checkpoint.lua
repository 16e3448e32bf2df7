-- ARGV: tenant, quoted; sequence; line; then for each head the instance, quoted, and its sequence.
-- Keeps the checkpoint if it is the next one. Returns 1, or 0. An instance that moved on since stays to be sealed.
if redis.call('LLEN', KEY.CHECKPOINTS .. ARGV[1]) ~= tonumber(ARGV[2]) - 1 then return 0 end
redis.call('RPUSH', KEY.CHECKPOINTS .. ARGV[1], ARGV[3])
for place = 4, #ARGV, 2 do
  if redis.call('LLEN', KEY.LEDGER .. ARGV[1] .. ':' .. ARGV[place]) == tonumber(ARGV[place + 1]) then
    redis.call('SREM', KEY.MOVED .. ARGV[1], ARGV[place])
  end
end
return 1
