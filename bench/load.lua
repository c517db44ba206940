-- For wrk: `wrk ... -s load.lua URL -- DEPTH [KIND]` sends DEPTH requests at once (pipelined; 1: none waits
-- behind another; 0: each on a connection of its own), and prints what was measured as one line of JSON.
-- KIND post: 1 KiB of JSON to the URL; 64k, 1m: so many bytes; mixed: of twenty requests one goes to /slow.

local kinds = {}

function kinds.post()
   wrk.method, wrk.body = "POST", '{"text": "' .. string.rep("x", 1000) .. '"}'
   wrk.headers["content-type"] = "application/json"
end

local function upload(length)
   return function() wrk.method, wrk.body = "POST", string.rep("x", length) end
end

kinds["64k"], kinds["1m"] = upload(65536), upload(1048576)

function kinds.mixed()
   local fast, slow, count = wrk.format(), wrk.format(nil, "/slow"), 0
   request = function()
      count = count + 1
      return count % 20 == 0 and slow or fast
   end
end

function init(args)
   local depth = tonumber(args[1] or "1")
   if args[2] then kinds[args[2]]() end
   if depth == 0 then -- fields of a table have no order, and floor looks for the end
      local one = "GET " .. wrk.path .. " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
      request = function() return one end
   elseif depth > 1 then
      local all = string.rep(wrk.format(), depth)
      request = function() return all end
   end
end

function done(summary, latency, requests)
   local errors = 0
   for _, count in pairs(summary.errors) do errors = errors + count end
   io.write(string.format(
      'RESULT {"requests": %d, "seconds": %.6f, "errors": %d, "p50": %d, "p90": %d, "p99": %d, "p999": %d}\n',
      summary.requests, summary.duration / 1e6, errors, latency:percentile(50),
      latency:percentile(90), latency:percentile(99), latency:percentile(99.9)))
end
