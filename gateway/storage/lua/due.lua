-- ARGV: now in us; how many; until when they are the caller's alone, in us, or ''. Returns the bodies of what is due,
-- earliest first.
local due = redis.call('ZRANGE', KEY.DEADLINES, '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, ARGV[2])
local bodies = {}
for place, member in ipairs(due) do
  bodies[place] = redis.call('HGET', KEY.DEADLINE_BODIES, member)
  -- Who dies over one only keeps it from the others until then.
  if ARGV[3] ~= '' then redis.call('ZADD', KEY.DEADLINES, ARGV[3], member) end
end
return bodies
