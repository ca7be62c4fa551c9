-- A deterministic mix of what Lua programs do. workload(n) returns one integer, a checksum over everything computed.
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end

local function mix(sum, value) return (sum * 31 + value) & 0x7fffffffffff end

local function sorted(n)
  local seed, t = 42, {}
  for i = 1, n do
    seed = (seed * 1103515245 + 12345) & 0x7fffffff
    t[i] = seed
  end
  table.sort(t)
  local sum = 0
  for i = 1, n, 7 do sum = mix(sum, t[i]) end
  table.sort(t, function(a, b) return a % 1000 > b % 1000 or (a % 1000 == b % 1000 and a < b) end)
  for i = 1, n, 5 do sum = mix(sum, t[i]) end
  return sum
end

local function strings(n)
  local parts = {}
  for i = 1, n do parts[#parts + 1] = string.format("%05d:%s", i * 7919 % 99991, ("ab"):rep(i % 5)) end
  local text = table.concat(parts, ",")
  local sum = 0
  for digits, letters in text:gmatch("(%d+):(%a*)") do sum = mix(sum, tonumber(digits) + #letters) end
  local swapped, count = text:gsub("(%d)(%d)", "%2%1")
  for i = 1, #swapped, 11 do sum = mix(sum, swapped:byte(i)) end
  return mix(mix(sum, count), #swapped:upper():reverse())
end

local Account = {}
Account.__index = Account
Account.__add = function(a, b) return Account.new(a.balance + b.balance) end
function Account.new(balance) return setmetatable({ balance = balance, log = {} }, Account) end
function Account:deposit(v)
  self.balance = self.balance + v
  self.log[#self.log + 1] = v
end

local function objects(n)
  local accounts = {}
  for i = 1, 50 do accounts[i] = Account.new(i) end
  for i = 1, n do accounts[i % 50 + 1]:deposit(i % 13) end
  local total = Account.new(0)
  for _, account in ipairs(accounts) do total = total + account end
  return total.balance
end

local function closures(n)
  local function counter()
    local c = 0
    return function(by) c = c + by return c end
  end
  local a, b, sum = counter(), counter(), 0
  for i = 1, n do sum = mix(sum, a(i) ~ b(3)) end
  return sum
end

local function floats(n)
  local x = 0.5
  for _ = 1, n do x = 3.75 * x * (1.0 - x) end  -- only *, -: the same bits everywhere
  return math.floor(x * 1e9)
end

local function sets(n)
  local seen, unique = {}, 0
  for i = 1, n do
    local key = "k" .. (i * i % 1009)
    if not seen[key] then seen[key] = true unique = unique + 1 end
  end
  return unique
end

function workload(n)
  local sum = 0
  for round = 1, n do
    sum = mix(sum, fib(14 + round % 3))
    sum = mix(sum, sorted(400))
    sum = mix(sum, strings(300))
    sum = mix(sum, objects(2000))
    sum = mix(sum, closures(2000))
    sum = mix(sum, floats(3000))
    sum = mix(sum, sets(1500))
  end
  return sum
end
