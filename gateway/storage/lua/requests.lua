-- ARGV: tenant, quoted; 'open', 'asked' or 'decided'; the person, quoted ('' with 'open'); the member to go on after
-- ('' for the newest); how many.
-- Returns {cursor of the next page or '', {instance body, definition digest, request body} ...}, newest first.
local tenant = ARGV[1] .. ':'
local index = KEY.REQUESTS_OPEN .. ARGV[1]
if ARGV[2] == 'asked' then index = KEY.REQUESTS_ASKED .. tenant .. ARGV[3] end
if ARGV[2] == 'decided' then index = KEY.REQUESTS_DECIDED .. tenant .. ARGV[3] end
local from = ARGV[4] == '' and '+' or '(' .. ARGV[4]
local limit = tonumber(ARGV[5])
local members = redis.call('ZRANGE', index, from, '-', 'BYLEX', 'REV', 'LIMIT', 0, limit + 1)
local page = {members[limit + 1] and members[limit] or ''}
for place = 1, math.min(limit, #members) do
  local request = redis.call('HMGET', KEY.REQUEST .. tenant .. string.match(members[place], ':(.*)$'), 'i', 'b')
  local instance = request[1] and redis.call('HMGET', KEY.INSTANCE .. tenant .. request[1], 'b', 'd')
  if instance and instance[1] then page[#page + 1] = {instance[1], instance[2], request[2]} end
end
return page
