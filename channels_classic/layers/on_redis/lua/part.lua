-- part(KEYS = {members, joined}, ARGV = {group name}): forgets a group without members (see join)
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('SREM', KEYS[2], ARGV[1]) end
