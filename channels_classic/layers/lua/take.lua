-- take(KEYS = {channel}, ARGV = {expiry ms}) -> {id, fields} of the oldest entry that nobody has
--   taken and that has not expired; or, when there is none, the id after which the next will come
-- channel   stream with the consumer group "workers" (see send); what is taken is removed. A field
--           "t" is the time in ms at which a message that was given back had first come
if redis.call('EXISTS', KEYS[1]) == 0 then return '0-0' end
redis.pcall('XGROUP', 'CREATE', KEYS[1], 'workers', '0')  -- whoever made the stream may not have
local time = redis.call('TIME')
local cutoff = time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[1]
while true do
  local read = redis.call(
    'XREADGROUP', 'GROUP', 'workers', 'receive', 'COUNT', 1, 'NOACK', 'STREAMS', KEYS[1], '>')
  if not read then break end
  local entry = read[1][2][1]
  redis.call('XDEL', KEYS[1], entry[1])
  local arrived = tonumber(string.match(entry[1], '^%d+'))
  for i = 1, #entry[2], 2 do
    local first = entry[2][i] == 't' and string.match(entry[2][i + 1], '^%d+$')
    if first and #first < 20 then arrived = tonumber(first) end
  end
  if arrived > cutoff then return entry end
end
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  if group[2] == 'workers' then return group[8] end
end
