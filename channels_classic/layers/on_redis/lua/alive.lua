-- alive(KEYS = {workers}, ARGV = {}) -> how many workers read the channel now (see announce)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return redis.call('ZCOUNT', KEYS[1], now + 1, '+inf')
