-- drained(KEYS = {waiting}, ARGV = {local, count, ...})
-- waiting   hash: local -> messages on their way to the connection. A count of 0 forgets it; a
--           negative one marks a closed connection, by a number that no capacity reaches
for i = 1, #ARGV, 2 do
  local count = tonumber(ARGV[i + 1])
  if count == 0 or redis.call('HINCRBY', KEYS[1], ARGV[i], -count) <= 0 then
    redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
