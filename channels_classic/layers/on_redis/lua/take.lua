-- take(KEYS = {channel, stats}, ARGV = {expiry ms}) -> {next, lanes, id, fields}: the oldest entry
--   that nobody has taken and that has not expired; or only the first two, when there is none
-- next      the id after which the next entry will come
-- lanes     those of the messages that had expired
-- channel   stream with the consumer group "workers" (see send); what is taken is removed
if redis.call('EXISTS', KEYS[1]) == 0 then return {'0-0', {}} end
redis.pcall('XGROUP', 'CREATE', KEYS[1], 'workers', '0')  -- whoever made the stream may not have
local time, expiry = redis.call('TIME'), tonumber(ARGV[1])
local cutoff = time[1] * 1000 + math.floor(time[2] / 1000) - expiry
local lanes = {}
while true do
  local read = redis.call(
    'XREADGROUP', 'GROUP', 'workers', 'receive', 'COUNT', 1, 'NOACK', 'STREAMS', KEYS[1], '>')
  if not read then break end
  local entry = read[1][2][1]
  redis.call('XDEL', KEYS[1], entry[1])
  local arrived, lane = tonumber(string.match(entry[1], '^%d+')), nil
  for i = 1, #entry[2], 2 do
    local value = entry[2][i + 1]
    local first = entry[2][i] == 't' and string.match(value, '^%d+$')
    if first and #first < 20 then arrived = tonumber(first) end
    if entry[2][i] == 'r' then lane = value end
  end
  if expiry == 0 or arrived > cutoff then return {entry[1], lanes, entry[1], entry[2]} end
  lanes[#lanes + 1] = lane
  if KEYS[2] then redis.pcall('HINCRBY', KEYS[2], 'expired_count', 1) end
end
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  if group[2] == 'workers' then return {group[8], lanes} end
end
