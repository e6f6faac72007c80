-- take_inbox(KEYS = {inbox, waiting, changed, stats}, ARGV = {expiry ms, prefix of the keys of members})
--   -> {payload, local, ...} for each message of the oldest entry that has some for anybody and
--   that has not expired, or nil; what is taken is removed and no longer waits
-- inbox, waiting, stats   see reply
-- changed          see join
local time = redis.call('TIME')
local expiry = tonumber(ARGV[1])
local cutoff = time[1] * 1000 + math.floor(time[2] / 1000) - expiry

-- The message to a group, for its members when it was sent: those of now, less the joins and
-- leaves that are still to be read, undone from the last one back.
local function to_members(payload, group)
  local found, message = {}, {payload}
  for _, name in ipairs(redis.call('SMEMBERS', ARGV[2] .. group)) do found[name] = true end
  local changed = redis.call('GET', KEYS[3])
  for _, entry in ipairs(changed and redis.call('XREVRANGE', KEYS[1], changed, '-') or {}) do
    local mark, name = string.sub(entry[2][1], 1, 1), string.sub(entry[2][1], 2)
    if entry[2][2] == group then
      if mark == '+' then found[name] = nil elseif mark == '-' then found[name] = true end
    end
  end
  for name in pairs(found) do message[#message + 1] = name end
  return message
end

while true do
  local entry = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  if not entry then return nil end
  redis.call('XDEL', KEYS[1], entry[1])
  local taken = {}
  for i = 1, #entry[2], 2 do
    local mark, name = string.sub(entry[2][i], 1, 1), string.sub(entry[2][i], 2)
    if mark == '!' then
      taken[#taken + 1] = {entry[2][i + 1], name}
      if redis.call('HINCRBY', KEYS[2], name, -1) <= 0 then redis.call('HDEL', KEYS[2], name) end
    elseif mark == '*' then
      taken[#taken + 1] = to_members(entry[2][i + 1], name)
    end
  end
  if #taken > 0 then
    if expiry == 0 or tonumber(string.match(entry[1], '^%d+')) > cutoff then return taken end
    redis.pcall('HINCRBY', KEYS[4], 'expired_count', #taken)
  end
end
