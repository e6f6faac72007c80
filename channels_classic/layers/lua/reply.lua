-- reply(KEYS = {inbox, waiting, stats},
--       ARGV = {capacity, expiry ms, lives ms, local, payload, ...})
--   -> the numbers, from 0, of the pairs that were refused because their connection is full
-- inbox     stream read by one process; a field "!<local>" holds the payload for one connection
-- waiting   hash: local -> messages that have not reached the connection's client yet
-- stats     hash of counters, gone an hour after it began
local inbox, waiting, stats = KEYS[1], KEYS[2], KEYS[3]
local capacity, expiry, lives = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local fields, refused, swept = {}, {}, false

for i = 4, #ARGV, 2 do
  local waits = redis.call('HINCRBY', waiting, ARGV[i], 1)

  -- What has expired before anybody read it does not count: looked at only when it matters. Joins,
  -- leaves and messages to groups stay, as they count for nobody.
  if waits > capacity and not swept then
    swept = true
    local time = redis.call('TIME')
    local cutoff = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) - expiry)
    local after = '-'
    while true do
      local stale = redis.call('XRANGE', inbox, after, cutoff, 'COUNT', 100)
      if #stale == 0 then break end
      for _, entry in ipairs(stale) do
        after = '(' .. entry[1]
        if string.sub(entry[2][1], 1, 1) == '!' then
          redis.call('XDEL', inbox, entry[1])
          for j = 1, #entry[2], 2 do
            local name = string.sub(entry[2][j], 2)
            if redis.call('HINCRBY', waiting, name, -1) <= 0 then
              redis.call('HDEL', waiting, name)
            end
          end
        end
      end
    end
    waits = tonumber(redis.call('HGET', waiting, ARGV[i]) or 0)
  end

  if waits > capacity then
    redis.call('HINCRBY', waiting, ARGV[i], -1)
    refused[#refused + 1] = (i - 4) / 2
  else
    fields[#fields + 1] = '!' .. ARGV[i]
    fields[#fields + 1] = ARGV[i + 1]
  end
end

if #fields > 0 then
  redis.call('XADD', inbox, '*', unpack(fields))
  redis.call('PEXPIRE', inbox, lives)
  redis.call('PEXPIRE', waiting, lives)
  local count = #fields / 2
  if redis.call('HINCRBY', stats, 'messages_count', count) == count then
    redis.call('EXPIRE', stats, 3600)
  end
end
if #refused > 0 then
  redis.call('HINCRBY', stats, 'channel_full_count', #refused)
  if redis.call('TTL', stats) < 0 then redis.call('EXPIRE', stats, 3600) end
end
return refused
