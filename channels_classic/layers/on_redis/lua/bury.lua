-- bury(KEYS = {dead, stats}, ARGV = {limit, fields ...})
-- dead      stream of the dead letters: channel, m, attempts, error, traceback, worker
-- stats     see send; what is forgotten for a newer one is counted there
redis.call('XADD', KEYS[1], '*', unpack(ARGV, 2))
redis.pcall('HINCRBY', KEYS[2], 'dead_count', 1)
local forgotten = redis.call('XTRIM', KEYS[1], 'MAXLEN', ARGV[1])
if forgotten > 0 then redis.pcall('HINCRBY', KEYS[2], 'dropped_count', forgotten) end
redis.call('EXPIRE', KEYS[2], 86400)
