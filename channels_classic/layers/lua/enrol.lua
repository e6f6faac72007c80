-- enrol(KEYS = {group}, ARGV = {process}): the process has members in the group (see send_group)
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], string.format('%.0f', time[1] * 1000000 + time[2]), ARGV[1])
