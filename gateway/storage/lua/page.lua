-- ARGV: tenant and state ('' for any), quoted; the member to go on after ('' for the newest); how many; 1 for closed
-- instances, 0 for open ones.
-- Returns {cursor of the next page or '', instance body ...}, newest first.
local all, within = KEY.OPEN, KEY.OPEN_IN
if ARGV[5] == '1' then all, within = KEY.CLOSED, KEY.CLOSED_IN end
local index = ARGV[2] == '' and all .. ARGV[1] or within .. ARGV[1] .. ':' .. ARGV[2]
local from = ARGV[3] == '' and '+' or '(' .. ARGV[3]
local limit = tonumber(ARGV[4])
local members = redis.call('ZRANGE', index, from, '-', 'BYLEX', 'REV', 'LIMIT', 0, limit + 1)
local page = {members[limit + 1] and members[limit] or ''}
for place = 1, math.min(limit, #members) do
  local id = string.match(members[place], ':(.*)$')
  page[place + 1] = redis.call('HGET', KEY.INSTANCE .. ARGV[1] .. ':' .. id, 'b')
end
return page
