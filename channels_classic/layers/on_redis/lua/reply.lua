-- reply(KEYS = {inbox, waiting, stats},
--       ARGV = {capacity, window, expiry ms, lives ms, local, payload, ...})
--   -> the numbers, from 0, of the pairs that were refused because their connection is full
-- inbox     stream read by one process; a field "!<local>" holds the payload for one connection,
--           "=<local>" a receipt: "<number>" of the message, or "<number> lost". An entry may have
--           the same field twice: two replies to one connection
-- waiting   hash: local -> messages that have not reached the connection's client yet
-- stats     hash of counters, see send
-- A local that begins with "=" is a receipt, which no capacity refuses. A large message finds less
-- room than a small one: as many as the window has bytes for, two at least.
local inbox, waiting, stats = KEYS[1], KEYS[2], KEYS[3]
local capacity, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local expiry, lives = tonumber(ARGV[3]), ARGV[4]
local fields, refused, swept, replies = {}, {}, false, 0

local function count(counter, number)
  local now = redis.pcall('HINCRBY', stats, counter, number)
  if now == number then redis.call('EXPIRE', stats, 86400) end
end

-- What has expired before anybody read it does not count: looked at only when it matters. Joins,
-- leaves, receipts and messages to groups stay, as they count for nobody.
local function sweep()
  local time = redis.call('TIME')
  local cutoff = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) - expiry)
  local after = '-'
  while true do
    local stale = redis.call('XRANGE', inbox, after, cutoff, 'COUNT', 100)
    if #stale == 0 then break end
    for _, entry in ipairs(stale) do
      after = '(' .. entry[1]
      local kept, expired = {}, 0
      for j = 1, #entry[2], 2 do
        local name = string.sub(entry[2][j], 2)
        if string.sub(entry[2][j], 1, 1) ~= '!' then  -- a receipt may ride along
          kept[#kept + 1], kept[#kept + 2] = entry[2][j], entry[2][j + 1]
        else
          expired = expired + 1
          if redis.call('HINCRBY', waiting, name, -1) <= 0 then
            redis.call('HDEL', waiting, name)
          end
        end
      end
      if expired > 0 then
        count('expired_count', expired)
        redis.call('XDEL', inbox, entry[1])
        if #kept > 0 then redis.call('XADD', inbox, '*', unpack(kept)) end
      end
    end
  end
end

for i = 5, #ARGV, 2 do
  local name = ARGV[i]
  if string.byte(name) == 61 then
    fields[#fields + 1] = name
    fields[#fields + 1] = ARGV[i + 1]
  else
    local waits = redis.call('HINCRBY', waiting, name, 1)
    local room = math.min(capacity, math.max(2, math.floor(window / math.max(1, #ARGV[i + 1]))))
    if waits > room and not swept and expiry > 0 then
      swept = true
      sweep()
      waits = tonumber(redis.call('HGET', waiting, name) or 0)
    end
    if waits > room then
      redis.call('HINCRBY', waiting, name, -1)
      refused[#refused + 1] = (i - 5) / 2
    else
      fields[#fields + 1] = '!' .. name
      fields[#fields + 1] = ARGV[i + 1]
      replies = replies + 1
    end
  end
end

if #fields > 0 then
  redis.call('XADD', inbox, '*', unpack(fields))
  redis.call('PEXPIRE', inbox, lives)
  if replies > 0 then
    redis.call('PEXPIRE', waiting, lives)
    count('messages_count', replies)
  end
end
if #refused > 0 then count('channel_full_count', #refused) end
return refused
