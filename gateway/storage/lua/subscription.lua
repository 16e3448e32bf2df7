-- Something noted of a subscription, unless it was removed meanwhile. ARGV: tenant:subscription, field, value.
local key = KEY.SUBSCRIPTION .. ARGV[1]
if redis.call('EXISTS', key) == 1 then redis.call('HSET', key, ARGV[2], ARGV[3]) end
return 0
