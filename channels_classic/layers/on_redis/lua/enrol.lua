-- enrol(KEYS = {group}, ARGV = {process}): the process has members in the group (see send_group)
-- enrol(KEYS = {group}, ARGV = {channel, ms}): the plain channel is a member for some ms
local time = redis.call('TIME')
local score = time[1] * 1000000 + time[2]
if ARGV[2] then score = math.floor(score / 1000) + ARGV[2] end
redis.call('ZADD', KEYS[1], string.format('%.0f', score), ARGV[1])
