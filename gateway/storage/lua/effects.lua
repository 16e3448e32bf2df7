-- ARGV: tenant and instance, or '' and one effect; quoted.
-- Returns {{body, state, fence, attempts, error, detail, due again in ms} ...}, false for what is not there.
local ids = {ARGV[2]}
if ARGV[1] ~= '' then ids = redis.call('LRANGE', KEY.EFFECTS .. ARGV[1] .. ':' .. ARGV[2], 0, -1) end
local records = {}
for _, id in ipairs(ids) do
  local record = redis.call('HMGET', KEY.EFFECT .. id, 'b', 's', 'f', 'n', 'e', 'd')
  record[7] = redis.call('ZSCORE', KEY.EFFECTS_OPEN, id)
  if record[1] then records[#records + 1] = record end
end
return records
