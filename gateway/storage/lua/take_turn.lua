-- ARGV: place; rank; how many ranks; ms after which a place is given up; then for each limit its name, interval in ms
-- and burst. Takes a turn in all of them and returns 0, or none and returns the ms until the place's turn comes.
-- The same rules as channels.slack.turns.MemoryTurns, in ms; free and held are times.
local place, rank, ranks = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local now = now_ms()
local latest, taken = now, {}
for at = 5, #ARGV, 3 do
  local limit, interval, burst = KEY.LIMIT .. ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local line = KEY.LIMIT_LINE .. ARGV[at] .. ':'
  for each = 0, ranks - 1 do
    redis.call('ZREMRANGEBYSCORE', line .. each, '-inf', '(' .. digits(now - tonumber(ARGV[4])))
  end
  local state = redis.call('HMGET', limit, 'f', 'h')
  local free, held = tonumber(state[1] or '0'), tonumber(state[2] or '0')
  local earliest = math.max(held, free - (burst - 1) * interval)
  local mine = redis.call('ZSCORE', line .. rank, place)
  mine = mine and tonumber(mine)
  local slot
  if mine and mine > now and mine >= earliest then
    slot = mine
  elseif mine and earliest <= now then
    slot = now
  else
    slot = math.max(now, earliest)
    for each = 0, rank do
      local last = redis.call('ZRANGE', line .. each, 0, 1, 'REV', 'WITHSCORES')
      local other = last[1] == place and 3 or 1
      if last[other] then slot = math.max(slot, tonumber(last[other + 1]) + interval) end
    end
    slot = math.ceil(slot)
    if slot > now then
      redis.call('ZADD', line .. rank, digits(slot), place)
      redis.call('PEXPIRE', line .. rank, digits(slot - now + tonumber(ARGV[4])))
    end
  end
  latest = math.max(latest, slot)
  taken[#taken + 1] = {limit, line .. rank, math.max(free, now) + interval, math.max(held, now)}
end
if latest > now then return digits(latest - now) end
for _, turn in ipairs(taken) do
  redis.call('HSET', turn[1], 'f', string.format('%.3f', turn[3]))
  redis.call('PEXPIRE', turn[1], digits(math.max(turn[3], turn[4]) - now + 60000))
  redis.call('ZREM', turn[2], place)
end
return '0'
