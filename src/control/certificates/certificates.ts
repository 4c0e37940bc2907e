// The certificates of all listeners: read at the start, where a mistake ends the proxy, and again when files change or somebody
// asks for it, where the old ones stay until the new are right. Called by the proxy.

import { X509Certificate } from "node:crypto";
import { isDeepStrictEqual } from "node:util";

import {
  type KeptCertificates,
  type ListenerCertificates,
  revealed,
} from "../../shared/certificates.ts";
import { messageOf } from "../../shared/errors.ts";
import { CERTIFICATES } from "../../shared/limits.ts";
import type { Log } from "../../shared/log.ts";
import type { ListenerPlan } from "../../shared/plan.ts";
import { FileWatch } from "../file-watch.ts";
import { filesOf, readCertificates, sameCertificates, type TlsPlaces, tlsPlaces } from "./files.ts";
import { type ManagedSource, withManaged } from "./managed.ts";

/** Certificates by ListenerPlan.key, as they are at the moment. */
export type CertificateSource = Pick<Certificates, "of">;

export interface CertificateExpiry {
  /** ListenerPlan.key. */
  readonly listener: string;
  readonly names: readonly string[];
  /** Unix time. */
  readonly notAfterMs: number;
}

/** Those of a new plan, which are read and not in use yet. */
export interface PreparedCertificates extends CertificateSource {
  commit(): void;
}

interface Entry {
  readonly key: string;
  readonly places: TlsPlaces;
  current: KeptCertificates;
  watch: FileWatch | null;
  retry: ReturnType<typeof setTimeout> | undefined;
}

export class Certificates {
  readonly #log: Log;
  #managed: ManagedSource | null;
  readonly #changed: (key: string) => void;
  #entries = new Map<string, Entry>();
  #watching = false;

  private constructor(log: Log, managed: ManagedSource | null, changed: (key: string) => void) {
    this.#log = log;
    this.#managed = managed;
    this.#changed = changed;
  }

  /**
   * Reads every file that the plans name.
   * @param changed `of` gives another answer for this listener.
   * @param managed what listeners show besides (TlsServerPlan.managed).
   * @throws ProxyError ERR_CERTIFICATE
   */
  static read(
    plans: readonly ListenerPlan[],
    log: Log,
    changed: (key: string) => void,
    managed: ManagedSource | null = null,
  ): Certificates {
    const certificates = new Certificates(log, managed, changed);
    certificates.prepare(plans, managed).commit();
    return certificates;
  }

  /**
   * Reads what a new plan names and the one before did not.
   * @param managed as of `read`.
   * @throws ProxyError ERR_CERTIFICATE, and nothing has changed then.
   */
  prepare(plans: readonly ListenerPlan[], managed: ManagedSource | null): PreparedCertificates {
    const next = new Map<string, Entry>();
    for (const plan of plans) {
      const places = tlsPlaces(plan);
      if (places === null) continue;
      const { key } = plan;
      const known = this.#entries.get(key);
      next.set(
        key,
        known && isDeepStrictEqual(known.places, places) ? known : this.#read(key, places),
      );
    }
    return {
      of: (key) => revealedOf(next.get(key), managed),
      commit: () => {
        const others = managed !== this.#managed;
        const left = [...this.#entries.values()].filter((entry) => next.get(entry.key) !== entry);
        for (const entry of left) stopWatching(entry);
        this.#entries = next;
        this.#managed = managed;
        if (this.#watching) this.watch();
        if (others) this.managedChanged();
      },
    };
  }

  /** @throws ProxyError ERR_CERTIFICATE */
  #read(key: string, places: TlsPlaces): Entry {
    const { value, warnings } = readCertificates(places, Date.now());
    for (const warning of warnings) this.#log.warn({ listener: key }, warning);
    return { key, places, current: value, watch: null, retry: undefined };
  }

  /** null for a listener without TLS. */
  of(key: string): ListenerCertificates | null {
    return revealedOf(this.#entries.get(key), this.#managed);
  }

  /** Of files: when each that clients are shown ends. */
  expiries(): CertificateExpiry[] {
    return [...this.#entries.values()].flatMap(({ key, current }) =>
      (current.server?.certificates ?? []).map(({ chain, names }) => ({
        listener: key,
        names,
        notAfterMs: notAfterOf(chain),
      })),
    );
  }

  /** Those that are managed are others now. */
  managedChanged(): void {
    for (const { key, places } of this.#entries.values()) {
      if (places.server?.managed === true) this.#changed(key);
    }
  }

  /** From now on, changes of files are seen. */
  watch(): void {
    this.#watching = true;
    for (const entry of this.#entries.values()) {
      entry.watch ??= new FileWatch(filesOf(entry.places), () => this.#reload(entry, false));
    }
  }

  /** Reads all files again, at once. */
  reload(): void {
    for (const entry of this.#entries.values()) this.#reload(entry, true);
  }

  stop(): void {
    for (const entry of this.#entries.values()) stopWatching(entry);
  }

  /** @param isLast what is wrong now stays wrong. Otherwise a key may be on its way that fits the certificate. */
  #reload(entry: Entry, isLast: boolean): void {
    clearTimeout(entry.retry);
    entry.retry = undefined;
    entry.watch?.noted();
    const about = { listener: entry.key };
    try {
      const { value, warnings } = readCertificates(entry.places, Date.now());
      if (sameCertificates(value, entry.current)) return;
      entry.current = value;
      for (const warning of warnings) this.#log.warn(about, warning);
      const names = value.server?.certificates.flatMap((each) => each.names) ?? [];
      this.#log.info({ ...about, names: names.join(", ") }, "new certificates");
      this.#changed(entry.key);
    } catch (error) {
      if (isLast) {
        this.#log.error({ ...about, error: messageOf(error) }, "certificates stay as they were");
      } else {
        entry.retry = setTimeout(() => this.#reload(entry, true), CERTIFICATES.retryMs);
        entry.retry.unref();
      }
    }
  }
}

function revealedOf(
  entry: Entry | undefined,
  managed: ManagedSource | null,
): ListenerCertificates | null {
  if (entry === undefined) return null;
  return revealed(withManaged(entry.current, entry.places.server, managed));
}

/** @param chain PEM, the certificate itself first. */
function notAfterOf(chain: string): number {
  return new X509Certificate(chain).validToDate.getTime();
}

function stopWatching(entry: Entry): void {
  entry.watch?.stop();
  clearTimeout(entry.retry);
}
