-- One wrk thread that checks each answer and prints what it saw as a line of JSON.
-- Arguments: METHOD BODY_LENGTH ANSWER ANSWER_LENGTH. Only the start of an answer is compared,
-- and its whole length, so that checking 1 MiB costs no more than checking 13 bytes.
local answer, length
wrong = 0
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  wrk.method = args[1]
  if tonumber(args[2]) > 0 then
    wrk.body = string.rep("x", tonumber(args[2]))
  end
  answer = args[3]
  length = tonumber(args[4])
end

function response(status, headers, body)
  if status ~= 200 or #body ~= length or string.sub(body, 1, #answer) ~= answer then
    wrong = wrong + 1
  end
end

function done(summary, latency, requests)
  local bad = 0
  for _, thread in ipairs(threads) do
    bad = bad + thread:get("wrong")
  end
  local errors = summary.errors
  print(string.format(
    '{"requests": %d, "microseconds": %d, "p50": %.1f, "p99": %.1f, "wrong": %d, "errors": %d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), bad,
    errors.connect + errors.read + errors.write + errors.timeout))
end
