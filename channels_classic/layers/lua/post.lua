-- post(KEYS = {inbox, stats}, ARGV = {group name, payload, inbox limit, lives ms})
--   puts a message to a group in the inbox of one process with members (see send_group)
if redis.call('XLEN', KEYS[1]) < tonumber(ARGV[3]) then
  redis.call('XADD', KEYS[1], '*', '*' .. ARGV[1], ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
else
  redis.pcall('HINCRBY', KEYS[2], 'missed_count', 1)
  redis.call('EXPIRE', KEYS[2], 86400)
end
