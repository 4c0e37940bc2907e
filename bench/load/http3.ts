// HTTP/3 requests, always so many under way, by the runtime's own client (fetch), which shares no code with the proxy. All go
// over one connection. Prints one JSON line. Started by bench/quic/http3.ts.

import { Histogram } from "./histogram.ts";
import type { TimedRequest } from "./interval.ts";
import { cpuSince, type CpuTime, cpuTime } from "./usage.ts";

export interface Http3Request extends TimedRequest {
  url: string;
  inParallel: number;
  bodyBytes: number;
}

export interface Http3Result extends CpuTime {
  answers: number;
  elapsedMs: number;
  p50Us: number;
  p99Us: number;
}

const options = { protocol: "h3", tls: { rejectUnauthorized: false } } as RequestInit;

async function ask({ url, bodyBytes }: Http3Request, times: Histogram): Promise<void> {
  const begin = performance.now();
  const answer = await fetch(url, options);
  const { byteLength } = await answer.arrayBuffer();
  if (answer.status !== 200 || byteLength !== bodyBytes) {
    throw new Error(`not the answer that was asked for: ${answer.status}, ${byteLength} bytes`);
  }
  times.record(performance.now() - begin);
}

async function loadFor(request: Http3Request, ms: number): Promise<Histogram> {
  const times = new Histogram();
  const end = performance.now() + ms;
  const one = async (): Promise<void> => {
    do await ask(request, times);
    while (performance.now() < end);
  };
  await Promise.all(Array.from({ length: request.inParallel }, one));
  return times;
}

async function measure(request: Http3Request): Promise<Http3Result> {
  await loadFor(request, request.warmMs);
  const before = cpuTime(request.pids);
  const begin = performance.now();
  const times = await loadFor(request, request.runMs);
  const elapsedMs = performance.now() - begin;
  const cpu = cpuSince(before, request.pids);
  const [p50Us, p99Us] = [times.percentileUs(0.5), times.percentileUs(0.99)];
  return { ...cpu, answers: times.count, elapsedMs, p50Us, p99Us };
}

console.log(JSON.stringify(await measure(JSON.parse(process.argv[2]!) as Http3Request)));
process.exit(0); // its connection would be kept for the next request
