-- ARGV: how many; first pause in ms; longest pause; how often. Returns the cards whose time has come, ``tenant:request``,
-- each with how often it was brought up before. Each comes again after a pause that doubles, or is dropped at last.
local now = now_ms()
local due = redis.call('ZRANGE', KEY.CARDS_BEHIND, '-inf', digits(now), 'BYSCORE', 'LIMIT', 0, tonumber(ARGV[1]))
local found = {}
for _, card in ipairs(due) do
  local times = redis.call('HINCRBY', KEY.CARD .. card, 't', 1)
  if times >= tonumber(ARGV[4]) then
    redis.call('ZREM', KEY.CARDS_BEHIND, card)
  else
    local pause = math.min(tonumber(ARGV[2]) * 2 ^ (times - 1), tonumber(ARGV[3]))
    redis.call('ZADD', KEY.CARDS_BEHIND, digits(now + pause), card)
  end
  found[#found + 1] = {card, times}
end
return found
