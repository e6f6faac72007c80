-- leave(KEYS = {members, inbox, changed}, ARGV = {group name, local, lives ms})
-- The keys are those of join; the inbox gets "-<local>" -> group name, or "~<local>" when it was no
-- member: Redis may have been emptied, and the process know better. The process leaves the group
-- itself some time after its last member (see retire).
local mark = redis.call('SREM', KEYS[1], ARGV[2]) == 1 and '-' or '~'
local id = redis.call('XADD', KEYS[2], '*', mark .. ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('SET', KEYS[3], id, 'PX', ARGV[3])
