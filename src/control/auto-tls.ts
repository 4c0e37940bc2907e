// Automatic certificates of a proxy: the manager, with who signs and how names are proven, what is shown meanwhile, and
// certificates on demand. Called by the proxy, which starts it before its listeners and lets it order when they are open.

import { MANAGER } from "../shared/auto-tls-limits.ts";
import type { AutoTlsPlan } from "../shared/auto-tls-plan.ts";
import type { CertificateMaterial } from "../shared/certificates.ts";
import { messageOf } from "../shared/errors.ts";
import type { Log } from "../shared/log.ts";
import type { Secret } from "../shared/secret.ts";
import { checkAutoTlsFiles } from "./acme/check-files.ts";
import { systemClock } from "./acme/clock.ts";
import { composeIssuers } from "./acme/issuers.ts";
import { CertificateManager } from "./acme/manager.ts";
import { OnDemand } from "./acme/on-demand.ts";
import type { ChallengeHost } from "./acme/presenter.ts";
import { composeSolvers } from "./acme/solvers.ts";
import { StandIns } from "./acme/stand-ins.ts";
import type { CertificateStatus } from "./acme/status.ts";
import { CertificateStorage } from "./acme/storage.ts";
import type { WantedCertificates } from "./acme/wanted.ts";
import type { ManagedSource } from "./certificates/managed.ts";

/** A proxy: its listeners answer challenges, and its clients wait for names. */
export interface AutoTlsHost extends ChallengeHost {
  readonly wanted: WantedCertificates;
}

/** Names in one line of the log. */
const NAMES_SHOWN = 10;

export class AutoTls implements ManagedSource {
  readonly manager: CertificateManager;
  readonly #plan: AutoTlsPlan;
  readonly #log: Log;
  readonly #changed: () => void;
  readonly #standIns = new StandIns();
  readonly #wanted: WantedCertificates;
  readonly #onDemand: OnDemand | null;
  #running = false;
  #telling: ReturnType<typeof setTimeout> | undefined;

  private constructor(plan: AutoTlsPlan, host: AutoTlsHost, log: Log, changed: () => void) {
    this.#plan = plan;
    this.#log = log;
    this.#changed = changed;
    const { wanted } = host;
    const storage = new CertificateStorage(plan.storage);
    this.manager = new CertificateManager({
      storage,
      keyType: plan.keyType,
      issuersFor: composeIssuers(plan, storage, log),
      solvers: composeSolvers(plan, host, log),
      log,
      changed: () => this.#tellSoon(),
    });
    this.#wanted = wanted;
    const { onDemand } = plan;
    this.#onDemand =
      onDemand &&
      new OnDemand({
        plan: onDemand,
        manager: this.manager,
        clock: systemClock,
        log,
        granted: (name) => wanted.granted(name),
        denied: (name) => wanted.deny(name),
      });
  }

  /**
   * Reads the storage; whatever is missing has a stand-in then. What the storage is like is logged, and no error.
   * @param plan null: nothing is managed.
   * @param changed `materials` or `standIns` give others than before; not called before `start`.
   * @throws ProxyError ERR_CERTIFICATE if a file that the plan names cannot be used.
   */
  static async open(
    plan: AutoTlsPlan | null,
    host: AutoTlsHost,
    log: Log,
    changed: () => void,
  ): Promise<AutoTls | null> {
    if (plan === null) return null;
    const autoTls = new AutoTls(plan, host, log, changed);
    await autoTls.#load();
    return autoTls;
  }

  async #load(): Promise<void> {
    const warnings = checkAutoTlsFiles(this.#plan, systemClock.now());
    for (const warning of warnings) this.#log.warn({}, warning);
    await this.manager.load(this.#plan.certificates);
    const missing = this.manager.missing();
    await this.#standIns.cover(missing, systemClock.now());
    if (missing.length === 0) return;
    const firsts = missing.map(([first]) => first);
    const shown = firsts.slice(0, NAMES_SHOWN).join(", ");
    const names = firsts.length > NAMES_SHOWN ? `${shown} and others` : shown;
    this.#log.warn(
      { names, certificates: missing.length },
      "certificates are missing or expired, self-signed ones are shown until they are obtained",
    );
  }

  /** Listeners are open: names can be proven. */
  start(): void {
    this.#running = true;
    this.manager.start();
    const onDemand = this.#onDemand;
    if (onDemand !== null) this.#wanted.handler = (name) => onDemand.wanted(name);
  }

  /** Orders end. What is shown stays. */
  async stop(): Promise<void> {
    this.#running = false;
    clearTimeout(this.#telling);
    this.#onDemand?.close();
    this.#wanted.handler = null;
    await this.manager.stop();
  }

  /** `stop` waits for nobody any more, if it has begun or when it does. */
  hurry(): void {
    this.manager.hurry();
  }

  materials(): readonly CertificateMaterial<Secret>[] {
    return this.manager.materials();
  }

  standIns(): readonly CertificateMaterial<Secret>[] {
    return this.#standIns.all;
  }

  status(): CertificateStatus[] {
    return this.manager.status();
  }

  /** Many that come at once are told of together: every worker is sent all of them. */
  #tellSoon(): void {
    if (!this.#running) return; // what was read at the start is asked for
    const { tellMs, tellEachMs, tellMaxMs } = MANAGER;
    const waitMs = Math.min(tellMs + this.materials().length * tellEachMs, tellMaxMs);
    this.#telling ??= setTimeout(() => {
      this.#telling = undefined;
      void this.#tell();
    }, waitMs);
  }

  async #tell(): Promise<void> {
    try {
      await this.#standIns.cover(this.manager.missing(), systemClock.now());
    } catch (error) {
      this.#log.error({ error: messageOf(error) }, "no self-signed certificate could be made");
    }
    this.#changed();
  }
}
