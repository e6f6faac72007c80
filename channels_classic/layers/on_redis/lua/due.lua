-- due(KEYS = {later, stream, stats, waiting}, ARGV = {most, lives ms}) -> the ms until the next
--   message is due, 0 when there are more than "most" due now, or -1 when none is delayed
-- later     see later; what is due goes to the stream, in one step: it is never there twice.
--           Redis's cmsgpack knows no bin type: the entries are packed without
-- stream    see send; or the inbox of a process (see reply), with waiting. While it cannot be
--           written to, its messages are due again in 10 s
-- stats     see send
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function put(entry)
  if not KEYS[4] and redis.call('EXISTS', KEYS[2]) == 0 then
    redis.call('XGROUP', 'CREATE', KEYS[2], 'workers', '0', 'MKSTREAM')
  end
  local id = redis.pcall('XADD', KEYS[2], '*', unpack(entry, 2))
  if id.err then return false end
  if KEYS[4] then redis.pcall('HINCRBY', KEYS[4], string.sub(entry[2], 2), 1) end
  return true
end

local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, member in ipairs(due) do
  local ok, entry = pcall(cmsgpack.unpack, member)
  if not (ok and type(entry) == 'table' and #entry > 2 and #entry % 2 == 1) then
    redis.call('ZREM', KEYS[1], member)
    redis.pcall('HINCRBY', KEYS[3], 'undecodable_count', 1)
    redis.call('EXPIRE', KEYS[3], 86400)
  elseif put(entry) then
    redis.call('ZREM', KEYS[1], member)
  else
    redis.call('ZADD', KEYS[1], now + 10000, member)
  end
end
if #due > 0 and tonumber(ARGV[2]) > 0 then
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
  if KEYS[4] then redis.call('PEXPIRE', KEYS[4], ARGV[2]) end
end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if #first == 0 then return -1 end
return math.max(0, first[2] - now)
