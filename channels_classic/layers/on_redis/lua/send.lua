-- send(KEYS = {channel, stats}, ARGV = {capacity, expiry ms, lives ms, overflow, fields, ...})
--   -> how many messages, from the first on, were accepted; or, when messages were removed unread,
--   a list: that number, how many had expired, how many were dropped for newer ones, and their lanes.
--   Each message is a number of fields, then these
-- channel   stream with the consumer group "workers"; an entry has the fields
--             m  payload
--             r  lane: who gets a receipt, "<reply channel> <number>"
--             a  attempts that were made before       c  those of them that ended the worker
--             t  the time in ms at which a message that was given back had first come
-- stats     hash of counters, gone a day after it began; absent for channels with random names
-- An expiry or a life of 0 is for ever; overflow is "refuse", "drop_oldest", "pass" (to refuse
-- without counting, as another shard may have room), or "again" for messages that are tried again:
-- they were let in, and counted, before.
local channel, stats = KEYS[1], KEYS[2]
local capacity, expiry, lives = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

local function count(counter, number)
  if not stats then return end
  local before = redis.pcall('HINCRBY', stats, counter, number)
  if before == number then redis.call('EXPIRE', stats, 86400) end
end

local starts, at = {}, 5
while at <= #ARGV do
  starts[#starts + 1] = at
  at = at + 1 + ARGV[at]
end
local messages = #starts

local waiting = redis.call('XLEN', channel)
if waiting == 0 and redis.call('EXISTS', channel) == 0 then
  redis.call('XGROUP', 'CREATE', channel, 'workers', '0', 'MKSTREAM')
end

local lanes, removed = {}, {expired_count = 0, dropped_count = 0}
local function remove(entries, counter)
  for _, entry in ipairs(entries) do
    redis.call('XDEL', channel, entry[1])
    for i = 1, #entry[2], 2 do
      if entry[2][i] == 'r' then lanes[#lanes + 1] = entry[2][i + 1] end
    end
  end
  removed[counter] = removed[counter] + #entries
  count(counter, #entries)
end

-- What workers hold and what has expired does not count: looked at only when it matters.
if waiting + messages > capacity then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', channel)) do
    local fields = {}
    for i = 1, #group, 2 do fields[group[i]] = group[i + 1] end
    if fields['name'] == 'workers' then
      local unread = '(' .. fields['last-delivered-id']
      while expiry > 0 do
        local stale = redis.call(
          'XRANGE', channel, unread, string.format('%.0f', now - expiry), 'COUNT', 100)
        if #stale == 0 then break end
        remove(stale, 'expired_count')
      end
      waiting = redis.call('XLEN', channel) - fields['pending']
      local over = math.min(waiting, waiting + messages - capacity)
      if ARGV[4] == 'drop_oldest' and over > 0 then
        remove(redis.call('XRANGE', channel, unread, '+', 'COUNT', over), 'dropped_count')
        waiting = waiting - over
      end
    end
  end
end

local accepted = math.max(0, math.min(messages, capacity - waiting))
for i = 1, accepted do
  local start = starts[i]
  redis.call('XADD', channel, '*', unpack(ARGV, start + 1, start + ARGV[start]))
end
if lives > 0 then redis.call('PEXPIRE', channel, lives) end
if accepted > 0 and ARGV[4] ~= 'again' then count('messages_count', accepted) end
if accepted < messages and ARGV[4] ~= 'pass' then count('channel_full_count', messages - accepted) end
local expired, dropped = removed.expired_count, removed.dropped_count
if expired + dropped == 0 then return accepted end
return {accepted, expired, dropped, unpack(lanes)}
