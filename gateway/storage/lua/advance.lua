-- ARGV: the version the store must be at; the next one. Returns 1, or 0 where somebody else took the step.
if redis.call('GET', KEY.SCHEMA) ~= ARGV[1] then return 0 end
redis.call('SET', KEY.SCHEMA, ARGV[2])
return 1
