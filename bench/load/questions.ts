// Questions and answers in datagrams: each client asks, waits for the answer, and asks again. A question that is not answered in
// time is lost and counted, and the next one is asked. Prints one JSON line with the count, the latencies and the relay's CPU
// time of the measured interval. Started by bench/udp/questions.ts.

import { ptr } from "bun:ffi";

import { datagram, KIND_WORD, NUMBER_WORD, QUESTION } from "./datagrams.ts";
import { Histogram } from "./histogram.ts";
import { type Elapsed, type Going, measured, type TimedRequest } from "./interval.ts";
import { connectDatagrams, fail, libc, MSG_DONTWAIT } from "./libc.ts";
import { EPOLLIN, Poller } from "./poller.ts";

export interface QuestionsRequest extends TimedRequest {
  clients: number;
  bytes: number;
}

export interface QuestionsResult extends Elapsed {
  messages: number;
  lost: number;
  p50Us: number;
  p99Us: number;
}

const LOST_MS = 250;
const LOOK_MS = 50;
const HANGS_MS = 10_000;

function measure({ clients, bytes, ...request }: QuestionsRequest): QuestionsResult {
  const poller = new Poller();
  const [question, answer] = [datagram(bytes), datagram(bytes)];
  const [questionPointer, answerPointer] = [ptr(question), ptr(answer)];
  question[KIND_WORD] = QUESTION;
  const fds = Array.from({ length: clients }, () => connectDatagrams(request.port));
  const rows = Math.max(...fds) + 1;
  const askedAt = new Float64Array(rows);
  const expected = new Uint32Array(rows);
  const latencies = new Histogram();
  let lost = 0;
  let lookedAt = 0;

  const ask = (fd: number, now: number): void => {
    expected[fd] = ++question[NUMBER_WORD]!;
    askedAt[fd] = now;
    if (libc.send(fd, questionPointer, bytes, 0) !== bytes) fail("send");
  };
  const receive = (fd: number): void => {
    const got = libc.recv(fd, answerPointer, bytes, MSG_DONTWAIT);
    if (got < 0) fail("recv");
    if (answer[NUMBER_WORD] !== expected[fd]) return; // it was held for lost
    if (got !== bytes) throw new Error("an answer differs from what was asked");
    const now = performance.now();
    latencies.record(now - askedAt[fd]!);
    ask(fd, now);
  };
  const lookForLost = (now: number): void => {
    lookedAt = now;
    for (const fd of fds) {
      if (now - askedAt[fd]! < LOST_MS) continue;
      lost++;
      ask(fd, now);
    }
  };
  const serve = (going: Going): { messages: number } => {
    latencies.clear();
    lost = 0;
    const begin = performance.now();
    while (going(latencies.count) || latencies.count === 0) {
      const ready = poller.wait(LOOK_MS);
      for (let i = 0; i < ready; i++) receive(poller.fdAt(i));
      const now = performance.now();
      if (now - lookedAt >= LOOK_MS) lookForLost(now);
      if (latencies.count === 0 && now - begin > HANGS_MS) throw new Error("nothing is answered");
    }
    return { messages: latencies.count };
  };

  for (const fd of fds) {
    poller.add(fd, EPOLLIN);
    ask(fd, performance.now());
  }
  const result = measured(request, serve);
  for (const fd of fds) libc.close(fd);
  const [p50Us, p99Us] = [latencies.percentileUs(0.5), latencies.percentileUs(0.99)];
  return { ...result, lost, p50Us, p99Us };
}

console.log(JSON.stringify(measure(JSON.parse(process.argv[2]!))));
