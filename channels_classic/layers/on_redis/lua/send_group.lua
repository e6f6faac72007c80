-- send_group(KEYS = {group}, ARGV = {name, payload, inbox prefix, stats prefix, inbox limit, lives ms})
--   -> the members that are plain channels, which the caller sends to one by one, and the processes
--   that did not get the message
-- group     sorted set: a process with members (ends in "!") has the time in microseconds of its
--           last join, a plain channel the time in ms at which its membership ends
-- An inbox whose process no longer reads is left alone once it holds "inbox limit" entries.
-- For groups and inboxes on the same server; see also members and post.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local plain = {}
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if string.sub(member, -1) == '!' then
    local inbox = ARGV[3] .. '{' .. member .. '}'
    local length = redis.pcall('XLEN', inbox)  -- an error, when somebody put something else there
    if type(length) == 'number' and length < tonumber(ARGV[5]) then
      redis.call('XADD', inbox, '*', '*' .. ARGV[1], ARGV[2])
      redis.call('PEXPIRE', inbox, ARGV[6])
    else
      local stats = ARGV[4] .. '{' .. member .. '}'
      redis.pcall('HINCRBY', stats, 'missed_count', 1)
      redis.call('EXPIRE', stats, 86400)
      plain[#plain + 1] = member
    end
  else
    plain[#plain + 1] = member
  end
end
return plain
