-- retire(KEYS = {group}, ARGV = {process, score}): the process has no members in the group any more,
-- unless somebody has joined since its score was seen (see enrol)
if redis.call('ZSCORE', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('ZREM', KEYS[1], ARGV[1]) end
