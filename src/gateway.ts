// A gateway worker's entry point: composes protocols with the mailbox that the control plane writes to. It lives on its event
// loop, apart from the relay workers, whose engines may block in a system call.

import { appendFileSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";

import { AHEAD } from "./engine/bun/read-ahead.ts";
import { descriptorLimit, descriptorReserve, warnIfTooFew } from "./engine/descriptors.ts";
import { raiseDescriptorLimit } from "./engine/linux/sockets.ts";
import * as listening from "./engine/listening.ts";
import { sharedMs } from "./ffi/clock.ts";
import { cutBuffers, setSocketOptions } from "./ffi/socket-options.ts";
import { Strain } from "./l4/strain.ts";
import { Bandwidth } from "./protocols/bandwidth.ts";
import { ChallengeAnswers } from "./protocols/challenge-answers.ts";
import type { GatewayHost, GatewayListener, ListenerSockets } from "./protocols/host.ts";
import { createHttpListener } from "./protocols/http/compose.ts";
import { LiveRows } from "./protocols/live-rows.ts";
import { QuicListener } from "./protocols/quic/listener.ts";
import { TlsListener } from "./protocols/tls/listener.ts";
import { UdpListener } from "./protocols/udp/listener.ts";
import { Beat } from "./shared/beat.ts";
import { monotonicMs } from "./shared/clock.ts";
import { messageOf, toErrorRecord } from "./shared/errors.ts";
import { type HttpPlan, isHttpPlan, type LinkPlan, type TlsPlan } from "./shared/http-plan.ts";
import { LAG, RELAY } from "./shared/limits.ts";
import type {
  Command,
  GatewayInit,
  ListeningSocket,
  OpenRequest,
  Question,
  TargetSlot,
  WorkerEvent,
} from "./shared/messages.ts";
import type { UdpPlan } from "./shared/plan.ts";
import type { QuicPlan } from "./shared/quic-plan.ts";
import { StrainBoard } from "./shared/strain.ts";
import { Sweep } from "./shared/sweep.ts";

/** What the control plane opens here. */
type GatewayPlan = UdpPlan | TlsPlan | LinkPlan | HttpPlan | QuicPlan;

if (parentPort === null) throw new Error("gateway.ts runs in a worker thread only");
const port = parentPort;
const init = workerData as GatewayInit;

const emit = (event: WorkerEvent): void => port.postMessage(event);

if (process.platform === "linux") raiseDescriptorLimit();
const limit = descriptorLimit();
const ceiling = limit - descriptorReserve(limit);
/** Of a UDP session: its socket towards the target. Of a stream: the client's socket, and at most one towards a target. */
const DESCRIPTORS_EACH = { datagrams: 1, streams: 2 } as const;

/** By OpenRequest.slot. */
const listeners = new Map<number, GatewayListener>();
/** Of listeners that are over: an address of QUIC is free a little later than its last connection is closed. */
const lingering = new Set<ListenerSockets>();
const backlog = { bytes: 0 };
const sweep = new Sweep(() => {
  const now = monotonicMs();
  const pending = [...listeners.values()].map((listener) => listener.sweep(now));
  checkDrained();
  return pending.includes(true);
});
let draining = false;
let ended = false;

const givenUp = new Int32Array(init.givenUp);

const rows = new LiveRows(Math.min(RELAY.rowsMax, limit));
const bandwidth = new Bandwidth(rows.table, sharedMs);

const strain = new Strain(new StrainBoard(init.strain), init.index);
const beat = new Beat(LAG.restMs, () =>
  strain.beatOfTimer(monotonicMs(), sharedMs(), rows.count > 0),
);

let { traceConnections } = init;

const host: GatewayHost = {
  index: init.index,
  get traceConnections() {
    return traceConnections;
  },
  rows,
  strain,
  bandwidth,
  challenges: new ChallengeAnswers(),
  keyLog: init.keyLogPath === null ? null : keyLogTo(init.keyLogPath),
  emit,
  hasRoom: (fd) => fd < ceiling,
  setBuffers: (fd, sizes) => setSocketOptions(fd, sizes, "accepted"),
  setSocketOptions,
  ...listening,
  sharedMs,
  needSweep: (timeoutMs) => sweep.need(timeoutMs),
};

/** One write for each line, so that those of several workers do not mix. */
function keyLogTo(path: string): (line: string) => void {
  return (line) => {
    try {
      appendFileSync(path, `${line}\n`);
    } catch (error) {
      emit({ type: "warning", key: path, message: `a key was not logged: ${messageOf(error)}` });
    }
  };
}

function createListener(request: OpenRequest<GatewayPlan>): GatewayListener {
  if (isRequest(request, isHttpPlan)) return createHttpListener(host, request);
  if (isRequest(request, isUdpPlan)) return new UdpListener(host, request, backlog);
  if (isRequest(request, isStreamsPlan)) return new TlsListener(host, request);
  if (isRequest(request, isQuicPlan)) return new QuicListener(host, request);
  throw new Error(`unknown protocol ${request.listener.protocol}`);
}

function isRequest<P extends GatewayPlan>(
  request: OpenRequest<GatewayPlan>,
  isPlan: (plan: GatewayPlan) => plan is P,
): request is OpenRequest<P> {
  return isPlan(request.listener);
}

function isStreamsPlan(plan: GatewayPlan): plan is TlsPlan | LinkPlan {
  return plan.protocol === "tls" || plan.protocol === "link";
}

function isQuicPlan(plan: GatewayPlan): plan is QuicPlan {
  return plan.protocol === "quic";
}

function isUdpPlan(plan: GatewayPlan): plan is UdpPlan {
  return plan.protocol === "udp";
}

async function open(request: OpenRequest<GatewayPlan>): Promise<void> {
  const { slot, replaces } = request;
  const { key, protocol } = request.listener;
  let listener: GatewayListener | null = null;
  try {
    listener = createListener(request);
    if (replaces !== "process") follow(listener.sockets, replaces);
    listeners.set(slot, listener);
    const bound = await listener.sockets.open();
    warnIfTooFew(
      host,
      request,
      limit,
      DESCRIPTORS_EACH[protocol === "udp" ? "datagrams" : "streams"],
    );
    for (const message of cutBuffers(request.listener.socket)) {
      emit({ type: "warning", key, message });
    }
    const fds = listening.isKept(request) ? listener.sockets.duplicates() : [];
    emit({ type: "opened", slot, bound, fds });
  } catch (error) {
    listener?.end();
    listeners.delete(slot);
    emit({ type: "open_failed", slot, error: toErrorRecord(error) });
  }
}

/** What cannot be bound a second time is taken over. */
function follow(sockets: ListenerSockets, replaced: readonly number[]): void {
  for (const slot of replaced) {
    const before = listeners.get(slot);
    if (before !== undefined) sockets.follow?.(before.sockets);
  }
  // Those that the control plane has forgotten already.
  for (const { sockets: before } of listeners.values()) {
    if (before.lingers === true) sockets.follow?.(before);
  }
  for (const before of lingering) {
    if (before.lingers === true) sockets.follow?.(before);
    else lingering.delete(before);
  }
}

function close(slot: number): void {
  listeners.get(slot)?.close();
  checkDrained();
}

function drop(slot: number): void {
  const sockets = listeners.get(slot)?.sockets.overQuic;
  if (sockets?.lingers === true) lingering.add(sockets);
  listeners.delete(slot);
  emit({ type: "over", slot });
}

/** Listeners that are over are forgotten; the last one of a draining worker is its end. */
function checkDrained(): void {
  for (const [slot, listener] of listeners) if (listener.over) drop(slot);
  if (!draining || listeners.size > 0) return;
  draining = false;
  emit({ type: "drained" });
}

function end(): void {
  const connections = host.rows.count;
  draining = false; // `ended` says it all
  ended = true;
  for (const listener of listeners.values()) listener.end();
  sweep.stop();
  beat.stop();
  bandwidth.stop();
  AHEAD.close();
  emit({ type: "ended", connections });
  port.close();
}

async function answer(id: number, question: Question): Promise<void> {
  const sockets: ListeningSocket[] = [];
  for (const { key, sockets: held } of listeners.values()) {
    if (question === "sockets") {
      for (const fd of held.duplicates()) sockets.push({ key, fd });
    } else if (question === "accept") {
      for (const message of await held.accept()) emit({ type: "warning", key, message });
    }
  }
  emit({ type: "answer", id, sockets });
}

function setTargets(slot: number, targets: readonly TargetSlot[]): void {
  listeners.get(slot)?.setTargets(targets);
  for (const target of targets) {
    if (target.mode === "disabled") host.rows.resetTarget(slot, target.slot);
  }
}

function obey(command: Command<GatewayPlan>): void {
  if (Atomics.load(givenUp, 0) === 1 && command.type !== "end") return;
  switch (command.type) {
    case "open":
      return void open(command.request);
    case "targets":
      return setTargets(command.slot, command.targets);
    case "certificates":
      return listeners.get(command.slot)?.setCertificates?.(command.certificates);
    case "challenges":
      return host.challenges.set(command.answers);
    case "certificate_denied":
      for (const listener of listeners.values()) listener.denyCertificate?.(command.name);
      return;
    case "close":
      return close(command.slot);
    case "forget":
      return; // it is, since it was over
    case "ask":
      return void answer(command.id, command.question);
    case "hand_on":
      for (const slot of command.slots) listeners.get(slot)?.sockets.handOn();
      return;
    case "disconnect":
      return host.rows.reset(command.id);
    case "trace":
      traceConnections = command.on;
      return;
    case "collect":
      Bun.gc(false);
      return;
    case "drain":
      draining = true;
      for (const listener of listeners.values()) listener.close();
      return checkDrained();
    case "end":
      return end();
    case "adopt":
    case "take":
    default:
      // The planes are one program: such a command is a bug, and the worker is restarted for it.
      throw new Error(`unknown command ${command.type}`);
  }
}

/** Descriptors that the runtime does not know of outlive a thread: a socket that nobody accepts on would go on taking clients. */
function crashed(): void {
  for (const listener of listeners.values()) {
    try {
      listener.end();
    } catch (error) {
      const { key } = listener;
      emit({ type: "warning", key, message: `left behind by a crash: ${messageOf(error)}` });
    }
  }
}

process.on("exit", () => {
  AHEAD.close();
  if (!ended) crashed();
});

const { table } = host.rows;
const ready = { engine: "bun", reason: "", wakeFd: -1, live: table.buffer } as const;
emit({ type: "ready", ...ready });
port.on("message", obey);
