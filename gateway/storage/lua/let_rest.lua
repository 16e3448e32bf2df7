-- ARGV: deadline, quoted; the time it stands at, in us; the time it rests until. One that was set anew stays as it is.
local at = redis.call('ZSCORE', KEY.DEADLINES, ARGV[1])
if at and tonumber(at) == tonumber(ARGV[2]) then redis.call('ZADD', KEY.DEADLINES, ARGV[3], ARGV[1]) end
return 1
