-- announce(KEYS = {workers, ...}, ARGV = {worker, ttl ms, lives ms}); a ttl of 0 withdraws
-- workers   sorted set: the workers that read a channel, by when in ms they must be heard of again
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, workers in ipairs(KEYS) do
  redis.call('ZADD', workers, now + ARGV[2], ARGV[1])
  redis.call('ZREMRANGEBYSCORE', workers, '-inf', now)
  redis.call('PEXPIRE', workers, ARGV[3])
end
