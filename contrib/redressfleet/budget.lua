-- One exchange about a budget. Version 1, which is in the keys.
-- KEYS: hash of the epoch and of what was leased in which slot; sorted set of instances.
local instance, fresh, alive, quiet = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local known, limit, span, size = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local want, stepped, backs = tonumber(ARGV[9]), ARGV[10] == '1', tonumber(ARGV[11])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function slot(at) return string.format('%.0f', math.floor(at / size)) end

local had = redis.call('HMGET', KEYS[1], 'epoch', 'since', 'last')
local epoch, since, last = had[1], tonumber(had[2]), tonumber(had[3])
if not epoch or now < last - 1000 or (stepped and known == epoch) then
  redis.call('DEL', KEYS[1], KEYS[2])
  epoch, since = fresh, now
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'since', now)
end
redis.call('HSET', KEYS[1], 'last', now)
redis.call('ZADD', KEYS[2], now + alive, instance)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local instances = redis.call('ZCARD', KEYS[2])
local isquiet = now - since < quiet
local granted = 0
if known == epoch then
  local at = 12
  for _ = 1, backs do
    local field, n = 's' .. ARGV[at], tonumber(ARGV[at + 1])
    local held = tonumber(redis.call('HGET', KEYS[1], field) or '0')
    if held > 0 then redis.call('HSET', KEYS[1], field, math.max(held - n, 0)) end
    at = at + 2
  end
  while ARGV[at] do
    redis.call('HINCRBY', KEYS[1], 's' .. slot(now - tonumber(ARGV[at])), ARGV[at + 1])
    at = at + 2
  end
  local all, sum, oldest = redis.call('HGETALL', KEYS[1]), 0, math.floor((now - span) / size)
  for i = 1, #all, 2 do
    local id = string.match(all[i], '^s(%-?%d+)$')
    if id then
      if tonumber(id) < oldest then
        redis.call('HDEL', KEYS[1], all[i])
      else
        sum = sum + tonumber(all[i + 1])
      end
    end
  end
  if not isquiet then granted = math.max(math.min(want, limit - sum), 0) end
  if granted > 0 then redis.call('HINCRBY', KEYS[1], 's' .. slot(now), granted) end
end
local ttl = 2 * span + alive
redis.call('PEXPIRE', KEYS[1], ttl)
redis.call('PEXPIRE', KEYS[2], ttl)
return {epoch, isquiet and 1 or 0, granted, slot(now), instances, string.format('%.0f', now)}
