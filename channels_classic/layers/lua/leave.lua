-- leave(KEYS = {group, members, joined, inbox, changed}, ARGV = {group name, process, local, lives ms})
-- The keys are those of join; the inbox gets "-<local>" -> group name.
if redis.call('SREM', KEYS[2], ARGV[3]) == 1 then
  local id = redis.call('XADD', KEYS[4], '*', '-' .. ARGV[3], ARGV[1])
  redis.call('PEXPIRE', KEYS[4], ARGV[4])
  redis.call('SET', KEYS[5], id, 'PX', ARGV[4])
  if redis.call('EXISTS', KEYS[2]) == 0 then
    redis.call('ZREM', KEYS[1], ARGV[2])
    redis.call('SREM', KEYS[3], ARGV[1])
  end
end
