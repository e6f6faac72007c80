-- give_back(KEYS = {channel}, ARGV = {lives ms, id, consumer, fields, ...})
--   puts messages that were taken and not started at the tail of their channel, once. Each is its
--   id, who had it, a number of fields, then these (see send)
-- A message that somebody else has by now, who took this worker for dead, is left to them.
local is_empty = redis.call('EXISTS', KEYS[1]) == 0  -- since they were taken: they are to come back
local at = 2
while at <= #ARGV do
  local id, consumer, count = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  local is_held = not is_empty
    and #redis.call('XPENDING', KEYS[1], 'workers', id, id, 1, consumer) == 1
  if is_held then
    redis.call('XACK', KEYS[1], 'workers', id)
    redis.call('XDEL', KEYS[1], id)
  end
  if is_held or is_empty then
    redis.call('XADD', KEYS[1], '*', unpack(ARGV, at + 3, at + 2 + count))
  end
  at = at + 3 + count
end
if tonumber(ARGV[1]) > 0 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
