-- take_inbox(KEYS = {inbox, waiting}, ARGV = {expiry ms}) -> {id, fields} of the oldest entry that
--   has not expired, or nil; what is taken is removed and no longer waits
-- inbox, waiting   see reply
local time = redis.call('TIME')
local cutoff = time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[1]
while true do
  local entry = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  if not entry then return nil end
  redis.call('XDEL', KEYS[1], entry[1])
  for i = 1, #entry[2], 2 do
    local field = entry[2][i]
    if string.sub(field, 1, 1) == '!' then
      local name = string.sub(field, 2)
      if redis.call('HINCRBY', KEYS[2], name, -1) <= 0 then redis.call('HDEL', KEYS[2], name) end
    end
  end
  if tonumber(string.match(entry[1], '^%d+')) > cutoff then return entry end
end
