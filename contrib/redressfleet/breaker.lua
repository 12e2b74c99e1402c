-- One exchange about a breaker. Version 1, which is in the keys.
-- KEYS: hash of the state; sorted sets of instances and of those that would open it.
local instance, fresh, alive, quiet = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local known, gen, suspect, probe, result = ARGV[5], tonumber(ARGV[6]), ARGV[7] == '1', ARGV[8] == '1', tonumber(ARGV[9])
local recovery, lease, window = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local had = redis.call('HMGET', KEYS[1], 'epoch', 'since', 'last', 'gen', 'open', 'until', 'holder', 'holder_until')
local epoch, since, last = had[1], tonumber(had[2]), tonumber(had[3])
local at, open, ends = tonumber(had[4]) or 0, had[5] == '1', tonumber(had[6]) or 0
local holder, holds = had[7] or '', tonumber(had[8]) or 0
if not epoch or now < last - 1000 then
  redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
  epoch, since, at, open, ends, holder, holds = fresh, now, 0, false, 0, '', 0
end
redis.call('ZADD', KEYS[2], now + alive, instance)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local instances = redis.call('ZCARD', KEYS[2])
if suspect then
  redis.call('ZADD', KEYS[3], now + alive, instance)
else
  redis.call('ZREM', KEYS[3], instance)
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
local suspects = redis.call('ZCARD', KEYS[3])
local isquiet = now - since < quiet
if result ~= 0 and open and known == epoch and gen == at and holder == instance then
  at, holder, open, ends = at + 1, '', result == 2, now + recovery
  redis.call('DEL', KEYS[3])
  suspects = 0
end
-- More than half of those that are there, and never one alone.
if not open and not isquiet and suspects >= math.max(math.floor(instances / 2) + 1, 2) then
  at, holder, open, ends = at + 1, '', true, now + recovery
  redis.call('DEL', KEYS[3])
  suspects = 0
end
local mine, left = 0, 0
if open and now >= ends then
  if probe and (holder == '' or holds <= now) then
    holder, holds = instance, now + lease
  end
  if holder == instance and holds > now then mine, left = 1, holds - now end
end
redis.call('HSET', KEYS[1], 'epoch', epoch, 'since', since, 'last', now, 'gen', at, 'open', open and 1 or 0,
  'until', ends, 'holder', holder, 'holder_until', holds)
local ttl = 2 * (window + recovery + lease) + alive
for i = 1, 3 do redis.call('PEXPIRE', KEYS[i], ttl) end
local wait = 0
if open then wait = math.max(ends - now, 0) end
return {epoch, isquiet and 1 or 0, at, open and 1 or 0, wait, mine, left, instances, suspects}
