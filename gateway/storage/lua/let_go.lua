-- ARGV: lease name, quoted; holder.
if redis.call('GET', KEY.LEASE .. ARGV[1]) ~= ARGV[2] then return 0 end
return redis.call('DEL', KEY.LEASE .. ARGV[1])
