-- lapsed(KEYS = {channel, workers}, ARGV = {worker, ttl ms, most}) -> entries that dead workers had in hand,
--   now in the hands of the consumer "<worker>/beat"
-- channel   stream with the consumer group "workers" (see send and withdraw)
-- workers   see announce. Who was last heard of more than a second ago itself cannot tell the dead
--           from those who were held up with it
local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], 'workers')
if consumers.err then return {} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local own = redis.call('ZSCORE', KEYS[2], ARGV[1])
if own and tonumber(own) < now + ARGV[2] - 1000 then return {} end
local found = {}
local function claim(pending)
  local ids = {}
  for _, entry in ipairs(pending) do ids[#ids + 1] = entry[1] end
  if #ids == 0 then return end
  local claimed = redis.call('XCLAIM', KEYS[1], 'workers', ARGV[1] .. '/beat', 0, unpack(ids))
  for _, entry in ipairs(claimed) do
    if entry then found[#found + 1] = entry end
  end
end

for _, consumer in ipairs(consumers) do
  local name, worker = consumer[2], string.match(consumer[2], '^(.*)/[^/]*$')
  if not worker and name ~= 'receive' then worker = name end
  local lives = worker and redis.call('ZSCORE', KEYS[2], worker)
  if name == ARGV[1] .. '/beat' then  -- what was claimed, and lost on its way
    claim(redis.call(
      'XPENDING', KEYS[1], 'workers', 'IDLE', 60000, '-', '+', ARGV[3], name))
  elseif worker and worker ~= ARGV[1] and (not lives or tonumber(lives) <= now) then
    redis.call('ZREM', KEYS[2], worker)
    if consumer[4] == 0 then
      redis.call('XGROUP', 'DELCONSUMER', KEYS[1], 'workers', name)
    elseif #found < tonumber(ARGV[3]) then
      claim(redis.call('XPENDING', KEYS[1], 'workers', '-', '+', ARGV[3], name))
    end
  end
end
return found
