-- post(KEYS = {inbox, stats}, ARGV = {group name, payload, inbox limit, lives ms})
--   -> 1, or 0 when the process does not get it
--   puts a message to a group in the inbox of one process with members (see send_group)
local length = redis.pcall('XLEN', KEYS[1])
if type(length) == 'number' and length < tonumber(ARGV[3]) then
  redis.call('XADD', KEYS[1], '*', '*' .. ARGV[1], ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  return 1
end
redis.pcall('HINCRBY', KEYS[2], 'missed_count', 1)
redis.call('EXPIRE', KEYS[2], 86400)
return 0
