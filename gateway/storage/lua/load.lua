-- ARGV: what ('instance', 'aggregate' or 'request'), tenant, id; both quoted.
-- Returns false, or {instance body, definition digest, request body or false}.
local what, tenant, id = ARGV[1], ARGV[2] .. ':', ARGV[3]
local request = false
if what == 'aggregate' then
  id = redis.call('LINDEX', KEY.RUNS .. tenant .. id, -1)
elseif what == 'request' then
  local found = redis.call('HMGET', KEY.REQUEST .. tenant .. id, 'i', 'b')
  id, request = found[1], found[2]
end
if not id then return false end
local instance = redis.call('HMGET', KEY.INSTANCE .. tenant .. id, 'b', 'd', 'r')
if not instance[1] then return false end
if not request and instance[3] ~= '' then
  request = redis.call('HGET', KEY.REQUEST .. tenant .. instance[3], 'b')
end
return {instance[1], instance[2], request}
