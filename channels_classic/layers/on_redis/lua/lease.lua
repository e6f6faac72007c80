-- lease(KEYS = {servers, workers}, ARGV = {ms, most, worker, ttl ms})
--   -> dead processes, left to the caller for some ms
-- servers   see join
-- workers   see announce and lapsed
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local own = KEYS[2] and redis.call('ZSCORE', KEYS[2], ARGV[3])
if own and tonumber(own) < now + ARGV[4] - 1000 then return {} end
local dead = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[2])
for _, process in ipairs(dead) do redis.call('ZADD', KEYS[1], now + ARGV[1], process) end
return dead
