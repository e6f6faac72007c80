-- attach(KEYS = {attached, attachments, gone, servers},
--        ARGV = {key, process, local, content, lives unheard ms, lives gone s})
-- attached        hash: local -> what is attached to that connection under the key
-- attachments     set: the keys under which something is attached in this process
-- gone, servers   see join; what comes for a process that is gone ends with all else of it
redis.call('SADD', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
if redis.call('EXISTS', KEYS[3]) == 1 then
  redis.call('EXPIRE', KEYS[1], ARGV[6])
  redis.call('EXPIRE', KEYS[2], ARGV[6])
  return
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.pcall('ZADD', KEYS[4], 'NX', now + ARGV[5], ARGV[2])
