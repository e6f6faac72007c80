-- join(KEYS = {members, joined, inbox, changed, gone, servers, group},
--      ARGV = {group name, process, local, lives ms, lives unheard ms}) -> 0 if the process is gone
-- members   set: the locals of this process in this group
-- joined    set: the groups that this process has members in
-- inbox     gets "+<local>" -> group name, ahead of every later message to the group
-- changed   the id of the last join or leave in the inbox
-- gone      there when the process was found dead, and cleaned up after: its sockets are closed
-- servers   sorted set of processes by the time in ms at which they must be heard of again
-- group     see enrol; absent when it is on another server
if redis.call('EXISTS', KEYS[5]) == 1 then return 0 end
redis.call('SADD', KEYS[2], ARGV[1])
if redis.call('SADD', KEYS[1], ARGV[3]) == 1 then
  local id = redis.call('XADD', KEYS[3], '*', '+' .. ARGV[3], ARGV[1])
  redis.call('PEXPIRE', KEYS[3], ARGV[4])
  redis.call('SET', KEYS[4], id, 'PX', ARGV[4])
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.pcall('ZADD', KEYS[6], 'NX', now + ARGV[5], ARGV[2])
if KEYS[7] then
  redis.call('ZADD', KEYS[7], string.format('%.0f', time[1] * 1000000 + time[2]), ARGV[2])
end
return 1
