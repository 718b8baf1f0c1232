-- One operation on entries in Valkey or Redis, as one step.
--
-- KEYS[1] is the prefix of all keys; it is a hash tag, so that all of them are on one node. Kept below it:
--   entry:<member>   a hash of value (v) and version (n), with the end as the key's own expiry
--   names:<ns>       the keys of a namespace, in order (a sorted set with equal scores)
--   ages, ends       members by version and by end
--   last             the last version that was given
-- A member is a namespace and a key: "<length of ns>:<ns>:<key>".
--
-- ARGV: operation, namespace, key, then what the operation needs. Numbers are answered as text: versions do not fit
-- the integers of a script's answer on every server.

local prefix, operation, ns, key = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local ages, ends, last = prefix .. ':ages', prefix .. ':ends', prefix .. ':last'
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

local function text(number) return string.format('%.0f', number) end
local function entry(member) return prefix .. ':entry:' .. member end
local function names(ns) return prefix .. ':names:' .. ns end

local function forget(member)
  local colon = string.find(member, ':', 1, true)
  local length = tonumber(string.sub(member, 1, colon - 1))
  local ns = string.sub(member, colon + 1, colon + length)
  redis.call('DEL', entry(member))
  redis.call('ZREM', ages, member)
  redis.call('ZREM', ends, member)
  redis.call('ZREM', names(ns), string.sub(member, colon + length + 2))
end

-- What is over leaves its traces in the sorted sets.
for _, member in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, 1000)) do forget(member) end

local member = #ns .. ':' .. ns .. ':' .. key
local at = entry(member)

local function version() return redis.call('HGET', at, 'n') or '0' end
local function expiry() return redis.call('ZSCORE', ends, member) end

-- Tells whether the version that must be there is there; '' is any.
local function agrees(wanted) return wanted == '' or wanted == version() end

-- Notes a write whose value is in place already; `ends_at` is nil for never.
local function noted(ends_at, most)
  local given = math.max(now, tonumber(redis.call('GET', last) or '0') + 1)
  redis.call('SET', last, text(given))
  redis.call('HSET', at, 'n', text(given))
  redis.call('ZADD', ages, given, member)
  redis.call('ZADD', names(ns), 0, key)
  if ends_at then
    redis.call('PEXPIREAT', at, text(ends_at))
    redis.call('ZADD', ends, ends_at, member)
  else
    redis.call('PERSIST', at)
    redis.call('ZREM', ends, member)
  end
  while redis.call('ZCARD', ages) > tonumber(most) do
    local oldest = redis.call('ZRANGE', ages, 0, 0)[1]
    forget(oldest)
  end
  return text(given)
end

-- The end of a new entry: ARGV says its time to live, '' is for ever.
local function from_now(ttl)
  if ttl == '' then return nil end
  return now + tonumber(ttl)
end

local function shown(number) return number and text(tonumber(number)) or '' end

if operation == 'get' then
  local value = redis.call('HGET', at, 'v')
  if not value then return {'none'} end
  return {'ok', value, version(), shown(expiry())}

elseif operation == 'set' then
  local value, ttl, wanted, most = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
  if not agrees(wanted) then return {'conflict', version()} end
  redis.call('HSET', at, 'v', value)
  local ends_at = from_now(ttl)
  return {'ok', value, noted(ends_at, most), shown(ends_at)}

elseif operation == 'delete' then
  if not agrees(ARGV[4]) then return {'conflict', version()} end
  if redis.call('EXISTS', at) == 0 then return {'none'} end
  forget(member)
  return {'ok', 'deleted'}

elseif operation == 'increment' then
  local by, ttl, most = ARGV[4], ARGV[5], ARGV[6]
  local new = redis.call('EXISTS', at) == 0
  -- HINCRBY is exact in 64 bits, which Lua's numbers are not.
  local sum = redis.pcall('HINCRBY', at, 'v', by)
  if type(sum) == 'table' and sum.err then
    return {string.find(sum.err, 'overflow', 1, true) and 'overflow' or 'nonumber'}
  end
  local ends_at = new and from_now(ttl) or tonumber(expiry() or nil)
  local given = noted(ends_at, most)
  return {'ok', redis.call('HGET', at, 'v') or '', given, shown(ends_at)}

elseif operation == 'list' then
  local start, limit = ARGV[4], tonumber(ARGV[5])
  local found = redis.call('ZRANGEBYLEX', names(ns), start, '[' .. key .. '\255', 'LIMIT', 0, limit)
  local answer = {'ok'}
  for _, name in ipairs(found) do
    local member = #ns .. ':' .. ns .. ':' .. name
    answer[#answer + 1] = name
    answer[#answer + 1] = redis.call('HGET', entry(member), 'n') or ''
    answer[#answer + 1] = shown(redis.call('ZSCORE', ends, member))
  end
  return answer
end

return redis.error_reply('unknown operation ' .. operation)
