-- What bench/http/wrk.ts reads of a run of wrk: one line, in whole numbers.
done = function(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("bench requests=%d us=%d bytes=%d failed=%d p50=%d p99=%d\n", summary.requests, summary.duration,
    summary.bytes, failed, latency:percentile(50), latency:percentile(99)))
end
