-- KEYS[1] holds when the caller owes nothing more. ARGV: what must be free, what is taken, and the window, in microseconds.
-- The clock is the server's, which all instances share; its zero is late enough for fractions of a microsecond to count.
local clock = redis.call('TIME')
local now = (clock[1] - 1735689600) * 1000000 + clock[2]
local owed = math.max(0, tonumber(redis.call('GET', KEYS[1]) or now) - now)
local allowed = owed + ARGV[1] <= tonumber(ARGV[3])
if allowed then
  owed = owed + ARGV[2]
  redis.call('SET', KEYS[1], string.format('%.3f', now + owed), 'PX', math.ceil(owed / 1000) + 1)
end
return {allowed and 1 or 0, math.ceil(owed)}
