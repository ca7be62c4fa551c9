local M = {}
function M.stars(n) return ("*"):rep(n) end
return M
