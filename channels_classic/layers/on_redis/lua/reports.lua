-- reports(KEYS = {reports, reporting}, ARGV = {most}) -> process, payload, ... of the live ones
-- reports, reporting  see report
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = {}
for _, process in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. now, '+inf', 'LIMIT', 0, ARGV[1])) do
  local payload = redis.call('HGET', KEYS[1], process)
  if payload then
    found[#found + 1] = process
    found[#found + 1] = payload
  end
end
return found
