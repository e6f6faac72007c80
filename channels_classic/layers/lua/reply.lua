-- reply(KEYS = {inbox, waiting, stats}, ARGV = {capacity, lives ms, local, payload, ...})
--   -> the numbers, from 0, of the pairs that were refused because their connection is full
-- inbox     stream read by one process; a field "!<local>" holds the payload for one connection
-- waiting   hash: local -> messages that have not reached the connection's client yet
-- stats     hash of counters, gone an hour after it began
local inbox, waiting, stats = KEYS[1], KEYS[2], KEYS[3]
local capacity, lives = tonumber(ARGV[1]), ARGV[2]
local fields, refused = {}, {}

for i = 3, #ARGV, 2 do
  if redis.call('HINCRBY', waiting, ARGV[i], 1) > capacity then
    redis.call('HINCRBY', waiting, ARGV[i], -1)
    refused[#refused + 1] = (i - 3) / 2
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
if #refused > 0 then redis.call('HINCRBY', stats, 'channel_full_count', #refused) end
return refused
