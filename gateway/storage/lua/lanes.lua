-- ARGV: lanes, quoted. Returns {effects inside, waiting, failures in a row, let be until in ms or '', the one that finds
-- out or '', now in ms} for each.
local now = now_ms()
local found = {}
for place, lane in ipairs(ARGV) do
  local circuit = redis.call('HMGET', KEY.LANE .. lane, 'f', 'u', 'p')
  local probe = circuit[3] and redis.call('ZSCORE', KEY.LANE_INSIDE .. lane, circuit[3])
  found[place] = {
    redis.call('ZCOUNT', KEY.LANE_INSIDE .. lane, '(' .. digits(now), '+inf'),
    redis.call('ZCARD', KEY.LANE_WAITING .. lane),
    tonumber(circuit[1] or 0),
    circuit[2] or '',
    probe and tonumber(probe) > now and circuit[3] or '',
    now,
  }
end
return found
