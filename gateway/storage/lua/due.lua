-- ARGV: now in us; how many. Returns the bodies of what is due, earliest first.
local due = redis.call('ZRANGE', KEY.DEADLINES, '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, ARGV[2])
local bodies = {}
for place, member in ipairs(due) do bodies[place] = redis.call('HGET', KEY.DEADLINE_BODIES, member) end
return bodies
