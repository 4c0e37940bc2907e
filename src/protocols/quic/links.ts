// The quic:// targets of one listener, each address with its link, and what they are trusted by. Called by dial.ts.

import type { ListenerCertificates, TargetCertificates } from "../../shared/certificates.ts";
import type { StreamGroupPlan } from "../../shared/http-plan.ts";
import type { TargetSlot } from "../../shared/messages.ts";
import type { Watermarks } from "../wire/wire.ts";
import { QuicLink } from "./link.ts";
import { pickDriver } from "./pick.ts";
import type { QuicHost } from "./quiche/driver.ts";

export interface QuicLinksOptions {
  readonly host: QuicHost;
  readonly watermarks: Watermarks;
  readonly connectMs: number;
  /** A connection with clients on it broke off: which, and why. */
  readonly brokeOff: (message: string) => void;
}

export class QuicLinks {
  readonly #groups: readonly StreamGroupPlan[];
  readonly #options: QuicLinksOptions;
  readonly #links = new Map<QuicLink, { readonly slot: number; readonly name: string }>();
  #certificates: readonly TargetCertificates[];

  constructor(
    groups: readonly StreamGroupPlan[],
    certificates: ListenerCertificates | null,
    options: QuicLinksOptions,
  ) {
    this.#groups = groups;
    this.#certificates = certificates?.targets ?? [];
    this.#options = options;
  }

  /** A new address of a target. @returns null if it is not reached over QUIC. */
  make({ slot, name, group, index, address }: TargetSlot): QuicLink | null {
    const { quic: plan, tls, endpoint } = this.#groups[group]!.targets[index]!;
    if (plan === null || tls === null) return null;
    const { host, watermarks, connectMs, brokeOff } = this.#options;
    const link = new QuicLink({
      driver: pickDriver(plan.driver, host),
      address,
      serverName: tls.serverName ?? (endpoint.kind === "unix" ? "" : endpoint.host),
      insecure: tls.insecure,
      plan,
      watermarks,
      connectMs,
      certificates: () =>
        this.#certificates.find((each) => each.group === group && each.index === index) ?? null,
      brokeOff: (message) => brokeOff(`${name}: ${message}`),
    });
    this.#links.set(link, { slot, name });
    return link;
  }

  /** Connections to addresses that are none of these any more, or are taken out, end with their last stream. */
  retain(targets: readonly TargetSlot[]): void {
    for (const [link, { slot, name }] of this.#links) {
      const target = targets.find((each) => each.slot === slot && each.name === name);
      if (target?.mode === "enabled") link.reopen();
      else link.close();
      if (target === undefined && link.closed) this.#links.delete(link);
    }
  }

  /** For handshakes that begin later. */
  setCertificates({ targets }: ListenerCertificates): void {
    this.#certificates = targets;
  }

  /** Connections end with their last stream. */
  close(): void {
    for (const link of this.#links.keys()) link.close();
  }

  /** Whether nothing is left of them, after `close`. */
  get closed(): boolean {
    for (const link of this.#links.keys()) if (!link.closed) return false;
    return true;
  }

  /** At once. */
  destroy(): void {
    for (const link of this.#links.keys()) link.destroy();
  }
}
