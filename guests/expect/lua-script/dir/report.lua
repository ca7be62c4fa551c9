-- Reads a file next to this one, totals it, writes a report; requires a module from the same directory.
package.path = "/scripts/?.lua"
local words = require("words")
print("arguments", #arg, arg[1], ...)
print("NAME is " .. tostring(os.getenv("NAME")), "HOME is " .. tostring(os.getenv("HOME")))
local totals = {}
for line in io.lines("/scripts/input.txt") do
  local name, count = line:match("^(%a+) (%d+)$")
  totals[name] = (totals[name] or 0) + math.tointeger(count)
end
local names = {}
for name in pairs(totals) do names[#names + 1] = name end
table.sort(names)
local out = assert(io.open("/scripts/report.txt", "w"))
for _, name in ipairs(names) do
  out:write(string.format("%-8s|%4d|%s\n", name, totals[name], words.stars(totals[name])))
end
out:close()
for line in io.lines("/scripts/report.txt") do print(line) end
print(io.open("/scripts/absent.txt"))
print(os.rename("/scripts/report.txt", "/scripts/final.txt"), os.remove("/scripts/input.txt"))
print(math.type(2^53), 2^53, 7 // 2, -7 // 2, 7 % -3, 1e15, 0.1, 1/0, math.maxinteger)
print(#utf8.char(9731, 233), utf8.len("né☃"), ("x"):rep(3, "-"))
os.exit(true)
