-- announce(KEYS = {workers, channel}, ARGV = {worker, ttl ms, lives ms})
-- workers   sorted set: the workers that read a channel, by when in ms they must be heard of again
-- channel   stays alive as long as somebody reads it; a life of 0 is for ever
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 60000)  -- who is not there is dead, too
redis.call('PEXPIRE', KEYS[1], 86400000)
if tonumber(ARGV[3]) > 0 then
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
else
  redis.call('PERSIST', KEYS[2])
end
