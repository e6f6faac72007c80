-- heartbeat(KEYS = {servers, gone}, ARGV = {process, ttl ms}) -> 1 if the process was known before
-- servers, gone   see join
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local is_new = redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
return (redis.call('DEL', KEYS[2]) == 0 and is_new == 0) and 1 or 0
