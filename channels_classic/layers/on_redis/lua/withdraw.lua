-- withdraw(KEYS = {workers, channel, ...}, ARGV = {worker})
-- workers   see announce
-- channel   stream; the worker's threads are consumers "<worker>/<number>" of its group "workers".
--           Those with nothing in hand go; the others' messages are recovered (see lapsed)
for i = 1, #KEYS, 2 do
  redis.call('ZREM', KEYS[i], ARGV[1])
  local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[i + 1], 'workers')
  for _, consumer in ipairs(consumers.err and {} or consumers) do
    local worker = string.match(consumer[2], '^(.*)/[^/]*$')
    if worker == ARGV[1] and consumer[4] == 0 then
      redis.call('XGROUP', 'DELCONSUMER', KEYS[i + 1], 'workers', consumer[2])
    end
  end
end
