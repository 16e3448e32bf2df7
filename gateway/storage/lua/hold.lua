-- ARGV: lease name, quoted; holder; time to live in ms. Returns 1 where the holder has it now, else 0.
local lease = KEY.LEASE .. ARGV[1]
local holder = redis.call('GET', lease)
if holder and holder ~= ARGV[2] then return 0 end
redis.call('SET', lease, ARGV[2], 'PX', ARGV[3])
return 1
