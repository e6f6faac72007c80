-- give_back(KEYS = {channel}, ARGV = {lives ms, id, fields, ...}): messages that were taken and not started go
--   to the tail of their channel, once. Each is its id, a number of fields, then these (see send)
-- A message that somebody else has by now, who took this worker for dead, is left to them.
local at, is_empty = 2, redis.call('EXISTS', KEYS[1]) == 0
while at <= #ARGV do
  local count = tonumber(ARGV[at + 1])
  if is_empty or redis.call('XACK', KEYS[1], 'workers', ARGV[at]) == 1 then
    redis.call('XDEL', KEYS[1], ARGV[at])
    redis.call('XADD', KEYS[1], '*', unpack(ARGV, at + 2, at + 1 + count))
  end
  at = at + 2 + count
end
if tonumber(ARGV[1]) > 0 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
