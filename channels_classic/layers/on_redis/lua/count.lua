-- count(KEYS = {stats}, ARGV = {counter, number}); for stats see send
if redis.call('HINCRBY', KEYS[1], ARGV[1], ARGV[2]) == tonumber(ARGV[2]) then
  redis.call('EXPIRE', KEYS[1], 86400)
end
