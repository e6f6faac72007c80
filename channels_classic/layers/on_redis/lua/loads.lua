-- loads(KEYS = {channel, stats, workers}, ARGV = {})
--   -> how many messages no worker has taken, the ms that the first of them has waited, how many
--   were completed (see send for stats), how many workers read the channel now (see announce)
-- channel   see send
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local waiting, unread = redis.pcall('XLEN', KEYS[1]), '-'
if type(waiting) ~= 'number' then waiting = 0 end
local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
for _, group in ipairs(groups.err and {} or groups) do
  local fields = {}
  for i = 1, #group, 2 do fields[group[i]] = group[i + 1] end
  if fields['name'] == 'workers' then
    waiting = waiting - fields['pending']
    unread = '(' .. fields['last-delivered-id']
  end
end

local oldest = 0
local first = waiting > 0 and redis.call('XRANGE', KEYS[1], unread, '+', 'COUNT', 1)[1]
if first then
  local came = string.match(first[1], '^%d+')
  for i = 1, #first[2], 2 do
    if first[2][i] == 't' then came = tonumber(first[2][i + 1]) or came end
  end
  oldest = math.max(0, now - came)
else
  waiting = 0
end

local completed = redis.pcall('HGET', KEYS[2], 'completed_count')
local workers = redis.pcall('ZCOUNT', KEYS[3], now + 1, '+inf')
return {
  waiting, oldest, tonumber(type(completed) == 'string' and completed or '0') or 0,
  type(workers) == 'number' and workers or 0,
}
