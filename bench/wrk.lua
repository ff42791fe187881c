-- Asks the gateway as load.py says in the environment: OPERATION, and WORLD with the case, the callers and a seed.
dofile(os.getenv("WORLD"))
math.randomseed(seed)

local operation = os.getenv("OPERATION")
local turn = 0

local function uuid()
  local function hex(digits) return string.format("%0" .. digits .. "x", math.random(0, 16 ^ digits - 1)) end
  return hex(4) .. hex(4) .. "-" .. hex(4) .. "-4" .. hex(3) .. "-8" .. hex(3) .. "-" .. hex(4) .. hex(4) .. hex(4)
end

function request()
  turn = turn % #callers + 1
  local caller = callers[turn]
  local headers = {authorization = "Bearer " .. caller.token, ["content-type"] = "application/json"}
  if operation == "create" then
    return wrk.format("POST", wrk.path, headers, '{"requestId":"' .. uuid() .. '","case":' .. case .. "}")
  elseif operation == "get" then
    return wrk.format("GET", wrk.path .. "/" .. caller.cases[math.random(#caller.cases)], headers)
  end
  return wrk.format("GET", wrk.path, headers)
end

function done(summary, latency, requests)
  local errors = 0
  for _, count in pairs(summary.errors) do errors = errors + count end
  io.write(string.format(
    'FOUND{"rate": %f, "p50": %f, "p95": %f, "p99": %f, "errors": %d}',
    summary.requests / summary.duration * 1e6,
    latency:percentile(50) / 1000, latency:percentile(95) / 1000, latency:percentile(99) / 1000, errors
  ))
end
