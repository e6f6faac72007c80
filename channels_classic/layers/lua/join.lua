-- join(KEYS = {group, members, joined, inbox, changed}, ARGV = {group name, process, local, lives ms})
-- group     sorted set of the processes with members (see send_group)
-- members   set: the locals of this process in this group
-- joined    set: the groups that this process has members in
-- inbox     gets "+<local>" -> group name, ahead of every later message to the group
-- changed   the id of the last join or leave in the inbox
redis.call('ZADD', KEYS[1], '+inf', ARGV[2])
redis.call('PERSIST', KEYS[1])
redis.call('SADD', KEYS[3], ARGV[1])
if redis.call('SADD', KEYS[2], ARGV[3]) == 1 then
  local id = redis.call('XADD', KEYS[4], '*', '+' .. ARGV[3], ARGV[1])
  redis.call('PEXPIRE', KEYS[4], ARGV[4])
  redis.call('SET', KEYS[5], id, 'PX', ARGV[4])
end
