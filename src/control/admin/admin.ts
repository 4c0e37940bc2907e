// Where a running proxy tells about itself (config: admin): one address with health, metrics and what else is asked over HTTP,
// in the control plane's thread. It is there before the proxy starts and until it has ended; a reload may move it, and at an
// upgrade the next process waits for the address. Called by the run command and by reloads.

import { formatEndpoint } from "../../shared/address.ts";
import { errnoOf, messageOf, ProxyError } from "../../shared/errors.ts";
import { ADMIN, PROXY_DEFAULTS } from "../../shared/limits.ts";
import type { Log } from "../../shared/log.ts";
import type { AdminPlan, LogLevel } from "../../shared/plan.ts";
import { maskUrls } from "../../shared/secret.ts";
import { pause } from "../backoff.ts";
import type { PlanDiff } from "../diff.ts";
import type { EventRing } from "../event-ring.ts";
import { FileWatch } from "../file-watch.ts";
import type { ProcessLog } from "../log.ts";
import { scrape } from "../metrics/metrics.ts";
import { takeReading } from "../metrics/reading.ts";
import type { Proxy } from "../proxy.ts";
import { type ReloadCause, ReloadLog } from "../reload-log.ts";
import { type Answer, json, type Question } from "./answer.ts";
import { type Controls, operationsOf } from "./api.ts";
import { type Operations, perform } from "./api/operation.ts";
import {
  answerLive,
  answerReady,
  type ApiSubject,
  Pulse,
  type Reloads,
  type Subject,
} from "./health.ts";
import { openApi } from "./openapi.ts";
import { DashboardPage } from "./page.ts";
import { answerOn, type Path, type Paths, READ } from "./paths.ts";
import { AdminServer } from "./server.ts";
import { Snapshots } from "./snapshot.ts";
import { SnapshotStream } from "./stream.ts";
import { readToken, Token } from "./token.ts";

/** Another plan for it, which can be had. */
export interface PreparedAdmin {
  commit(): void;
  abandon(): void;
}

/** Where it logs, and what it tells of. */
type AdminLog = Log & Pick<ProcessLog, "events" | "level">;

export class Admin implements ApiSubject {
  readonly #log: AdminLog;
  readonly #page = new DashboardPage();
  readonly #pulse = new Pulse(this);
  readonly #operations: Operations;
  readonly #closing = new AbortController();
  #plan: AdminPlan | null = null;
  #server: AdminServer | undefined;
  #token: Token | null = null;
  #tokenWatch: FileWatch | undefined;
  /** Attempts to open it for this plan; others are over. */
  #attempts = 0;
  phase: Subject["phase"] = "starting";
  proxy: Proxy | undefined;
  refusal: string | null = null;
  readonly reloads: Reloads = { taken: 0, refused: 0, lastTakenMs: Date.now() };

  readonly history = new ReloadLog();
  readonly events: EventRing;
  readonly #stream: SnapshotStream;

  /** @param controls what the API can have done. */
  constructor(log: AdminLog, controls: Controls) {
    this.#log = log;
    this.events = log.events;
    const snapshots = new Snapshots(this);
    this.#stream = new SnapshotStream(
      log,
      () => snapshots.take(),
      () => snapshots.rest(),
    );
    this.#operations = operationsOf(this, controls, this.#stream);
  }

  /**
   * @param inTurn another process has the address until this one serves: then it is waited for.
   * @throws ProxyError ERR_LISTEN, or ERR_CONFIG for a token that cannot be read.
   */
  async start(plan: AdminPlan | null, inTurn: boolean): Promise<void> {
    try {
      (await this.prepare(plan)).commit();
    } catch (error) {
      if (!inTurn || !isTaken(error) || plan === null) throw error;
      this.#use(plan, readToken(plan));
      void this.#keepTrying(plan);
    }
  }

  get logLevel(): LogLevel {
    return this.#log.level;
  }

  /** Where it is asked, with the port that the system chose; undefined: nowhere. */
  get address(): string | undefined {
    return this.#server?.address;
  }

  serve(proxy: Proxy): void {
    this.proxy = proxy;
    this.phase = "serving";
    this.history.taken("start", null, this.reloads.lastTakenMs);
  }

  drain(): void {
    this.phase = "draining";
  }

  /** The configuration as it is now is what is served. */
  reloaded(cause: ReloadCause, diff: PlanDiff): void {
    this.refusal = null;
    this.reloads.taken++;
    this.reloads.lastTakenMs = Date.now();
    this.history.taken(cause, diff, this.reloads.lastTakenMs);
  }

  /** The configuration as it is now is not taken. */
  refused(cause: ReloadCause, reason: string): void {
    this.refusal = maskUrls(reason);
    this.reloads.refused++;
    this.history.refused(cause, this.refusal, Date.now());
  }

  /** Another process answers from here on. */
  letGo(): void {
    this.phase = "draining";
    this.#closing.abort();
    this.#stream.end();
    this.#server?.letGo();
  }

  stop(): void {
    this.#closing.abort();
    this.#tokenWatch?.stop();
    this.#stream.end();
    this.#server?.close();
  }

  /** @throws ProxyError as `start`; everything is as it was then. */
  async prepare(plan: AdminPlan | null): Promise<PreparedAdmin> {
    const token = plan === null ? null : readToken(plan);
    const use = (server: AdminServer | undefined): void => {
      const before = this.#server;
      this.#server = server;
      if (before !== undefined && before !== server) {
        this.#stream.end();
        before.leave();
      }
      this.#use(plan, token);
    };
    if (plan === null || this.#isAt(plan)) {
      const commit = (): void => {
        use(plan === null ? undefined : this.#server);
        if (plan !== null && this.#server === undefined) void this.#keepTrying(plan);
      };
      return { commit, abandon: () => {} };
    }
    try {
      const server = await this.#open(plan);
      const commit = (): void => {
        use(server);
        this.#log.info({ address: server.address }, "admin listening");
      };
      return { commit, abandon: () => server.close() };
    } catch (error) {
      // One that is in the way of the other, as :9090 is for 127.0.0.1:9090, has to go first.
      if (!isTaken(error) || !this.#hasPortOf(plan)) throw error;
      const commit = (): void => {
        use(undefined);
        void this.#keepTrying(plan);
      };
      return { commit, abandon: () => {} };
    }
  }

  #use(plan: AdminPlan | null, token: Token | null): void {
    this.#plan = plan;
    if (!sameToken(token, this.#token)) this.#stream.end(); // whoever reads has to show the new one
    this.#token = token;
    this.#attempts++;
    this.#tokenWatch?.stop();
    const path = plan?.tokenFile ?? null;
    this.#tokenWatch =
      path === null ? undefined : new FileWatch([path], () => this.#tokenChanged(path));
  }

  #tokenChanged(path: string): void {
    try {
      this.#token = Token.read(path);
      this.#stream.end();
      this.#log.info({}, "new admin token");
    } catch (error) {
      this.#log.error({ error: messageOf(error) }, "the admin token stays as it was");
    }
  }

  /** It is there, or waits for that address. */
  #isAt({ listen }: AdminPlan): boolean {
    const before = this.#plan?.listen;
    return before !== undefined && formatEndpoint(before) === formatEndpoint(listen);
  }

  #hasPortOf({ listen }: AdminPlan): boolean {
    const before = this.#server === undefined ? undefined : this.#plan?.listen;
    return before?.kind === "tcp" && listen.kind === "tcp" && before.port === listen.port;
  }

  #open({ listen }: AdminPlan): Promise<AdminServer> {
    const rules = () => ({ listen, token: this.#token });
    const paths = this.#paths();
    const answer = (question: Question) => answerOn(paths, question);
    return AdminServer.open({ listen, log: this.#log, rules, answer });
  }

  #paths(): Paths {
    return {
      "/": { methods: READ, isPublic: true, answer: (question) => this.#page.answer(question) },
      "/livez": {
        methods: READ,
        isPublic: true,
        answer: (question) => answerLive(question, this.#pulse),
      },
      "/readyz": {
        methods: READ,
        isPublic: true,
        answer: (question) => answerReady(question, this),
      },
      ...this.#api(),
      "/metrics": { methods: READ, answer: ({ accept }) => this.#scrape(accept) },
    };
  }

  #api(): Paths {
    const paths = Object.entries(this.#operations).map(([path, byMethod]): [string, Path] => {
      const methods = Object.keys(byMethod).flatMap((method) =>
        method === "GET" ? READ : [method],
      );
      const answer = (question: Question): Answer | Promise<Answer> =>
        perform(byMethod[question.method === "HEAD" ? "GET" : question.method]!, question);
      return [path, { methods, answer }];
    });
    const document = openApi(this.#operations);
    return {
      ...Object.fromEntries(paths),
      "/api/openapi.json": { methods: READ, answer: () => json(200, document) },
    };
  }

  async #scrape(accept: string): Promise<Answer> {
    const prefix = this.#plan?.metricsPrefix ?? PROXY_DEFAULTS.metricsPrefix;
    return scrape(takeReading(this), prefix, accept);
  }

  /** Never rejects: the log has the outcome. */
  async #keepTrying(plan: AdminPlan): Promise<void> {
    const attempt = this.#attempts;
    const address = formatEndpoint(plan.listen);
    const isOver = (): boolean => this.#closing.signal.aborted || this.#attempts !== attempt;
    for (let failures = 0; !isOver(); failures++) {
      try {
        const server = await this.#open(plan);
        if (isOver()) return server.close();
        this.#server = server;
        return this.#log.info({ address: server.address }, "admin listening");
      } catch (error) {
        if (failures === 0) this.#log.info({ address }, "the admin listener waits for its address");
        if (!isTaken(error)) this.#log.error({ error: messageOf(error) }, "admin listener");
      }
      await pause(ADMIN.retryMs, this.#closing.signal);
    }
  }
}

function isTaken(error: unknown): boolean {
  return error instanceof ProxyError && errnoOf(error.cause) === "EADDRINUSE";
}

function sameToken(one: Token | null, other: Token | null): boolean {
  return one === null || other === null ? one === other : one.equals(other);
}
