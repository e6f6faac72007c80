-- send(KEYS = {channel, stats}, ARGV = {capacity, expiry ms, lives ms, payload, ...})
--   -> how many payloads, from the first on, were accepted; the rest found the channel full
-- channel   stream with the consumer group "workers"; an entry's field "m" is the payload
-- stats     hash of counters, gone an hour after it began; absent for channels with random names
local channel, stats = KEYS[1], KEYS[2]
local capacity, expiry, lives = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local payloads = #ARGV - 3

local waiting = redis.call('XLEN', channel)
if waiting == 0 and redis.call('EXISTS', channel) == 0 then
  redis.call('XGROUP', 'CREATE', channel, 'workers', '0', 'MKSTREAM')
end

-- What workers hold and what has expired does not count: looked at only when it matters.
if waiting + payloads > capacity then
  local time = redis.call('TIME')
  local cutoff = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) - expiry)
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', channel)) do
    local fields = {}
    for i = 1, #group, 2 do fields[group[i]] = group[i + 1] end
    if fields['name'] == 'workers' then
      local unread = '(' .. fields['last-delivered-id']
      while true do
        local stale = redis.call('XRANGE', channel, unread, cutoff, 'COUNT', 100)
        if #stale == 0 then break end
        for _, entry in ipairs(stale) do redis.call('XDEL', channel, entry[1]) end
        if stats then redis.call('HINCRBY', stats, 'expired_count', #stale) end
      end
      waiting = redis.call('XLEN', channel) - fields['pending']
    end
  end
end

local accepted = math.max(0, math.min(payloads, capacity - waiting))
for i = 4, 3 + accepted do redis.call('XADD', channel, '*', 'm', ARGV[i]) end
redis.call('PEXPIRE', channel, lives)

if stats then
  if accepted > 0 and redis.call('HINCRBY', stats, 'messages_count', accepted) == accepted then
    redis.call('EXPIRE', stats, 3600)
  end
  if accepted < payloads then
    redis.call('HINCRBY', stats, 'channel_full_count', payloads - accepted)
    if redis.call('TTL', stats) < 0 then redis.call('EXPIRE', stats, 3600) end
  end
end
return accepted
