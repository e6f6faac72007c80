-- later(KEYS = {later, stats}, ARGV = {limit, delay ms, entry, ...}) -> how many were accepted
-- later     sorted set of delayed messages by the time in ms at which they are due; a member is
--           the msgpack of a list: random letters, then the fields of the entry to come
-- stats     see send; absent for messages that are tried again
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local waiting, accepted = redis.call('ZCARD', KEYS[1]), 0
for i = 2, #ARGV, 2 do
  if waiting + accepted < tonumber(ARGV[1]) then
    redis.call('ZADD', KEYS[1], now + ARGV[i], ARGV[i + 1])
    accepted = accepted + 1
  else
    redis.pcall('HINCRBY', KEYS[2], 'channel_full_count', 1)
    redis.call('EXPIRE', KEYS[2], 86400)
  end
end
if accepted > 0 and KEYS[2] then
  redis.pcall('HINCRBY', KEYS[2], 'messages_count', accepted)
  redis.call('EXPIRE', KEYS[2], 86400)
end
return accepted
