// Datagrams one way, as fast as they can be sent; the backend counts those that arrive, and is asked through the relay how many
// they are. Prints one JSON line. Started by bench/udp/flow.ts.

import { ptr } from "bun:ffi";

import {
  COUNT,
  COUNTED,
  datagram,
  KIND_WORD,
  NUMBER_WORD,
  TOTAL_WORD,
  WORDS_MIN,
} from "./datagrams.ts";
import { type Elapsed, type Going, measured, type TimedRequest } from "./interval.ts";
import { connectDatagrams, fail, libc, MSG_DONTWAIT } from "./libc.ts";
import { EPOLLIN, Poller } from "./poller.ts";

export interface FlowRequest extends TimedRequest {
  bytes: number;
}

export interface FlowResult extends Elapsed {
  sent: number;
  arrived: number;
}

const ASK_BYTES = WORDS_MIN * 4;
const ASK_AGAIN_MS = 100; // it may have been lost behind a full queue
const ASK_TIMES = 50;
/** Between two looks at the clock. */
const BATCH = 64;

function measure({ bytes, ...request }: FlowRequest): FlowResult {
  const poller = new Poller();
  const fd = connectDatagrams(request.port);
  poller.add(fd, EPOLLIN);
  const [data, question, answer] = [datagram(bytes), datagram(ASK_BYTES), datagram(ASK_BYTES)];
  const [dataPointer, questionPointer, answerPointer] = [ptr(data), ptr(question), ptr(answer)];
  data[KIND_WORD] = COUNTED;
  question[KIND_WORD] = COUNT;

  /** Behind all that was sent before: relays keep the order of one client. */
  const countArrived = (): number => {
    question[NUMBER_WORD]!++;
    for (let i = 0; i < ASK_TIMES; i++) {
      if (libc.send(fd, questionPointer, ASK_BYTES, 0) !== ASK_BYTES) fail("send");
      while (poller.wait(ASK_AGAIN_MS) > 0) {
        if (libc.recv(fd, answerPointer, ASK_BYTES, MSG_DONTWAIT) !== ASK_BYTES) fail("recv");
        if (answer[NUMBER_WORD] === question[NUMBER_WORD]) return answer[TOTAL_WORD]!;
      }
    }
    throw new Error("the backend does not say how many have arrived");
  };
  const serve = (going: Going): { sent: number; arrived: number } => {
    const before = countArrived();
    let sent = 0;
    while (going(sent)) {
      for (let i = 0; i < BATCH; i++) {
        if (libc.send(fd, dataPointer, bytes, 0) !== bytes) fail("send");
      }
      sent += BATCH;
    }
    return { sent, arrived: countArrived() - before };
  };

  const result = measured(request, serve);
  libc.close(fd);
  return result;
}

console.log(JSON.stringify(measure(JSON.parse(process.argv[2]!))));
