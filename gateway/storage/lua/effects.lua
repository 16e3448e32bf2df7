-- ARGV: tenant and instance, or '' and effects; quoted.
-- Returns {{body, state, fence, attempts, error, detail, due again in ms, id, kind, member, owner} ...}, without what is
-- not there.
local ids = {unpack(ARGV, 2)}
if ARGV[1] ~= '' then ids = redis.call('LRANGE', KEY.EFFECTS .. ARGV[1] .. ':' .. ARGV[2], 0, -1) end
local records = {}
for _, id in ipairs(ids) do
  local record = redis.call('HMGET', KEY.EFFECT .. id, 'b', 's', 'f', 'n', 'e', 'd', 's', 's', 'k', 'm', 'o')
  record[7], record[8] = redis.call('ZSCORE', KEY.EFFECTS_OPEN, id), id
  if record[1] then records[#records + 1] = record end
end
return records
