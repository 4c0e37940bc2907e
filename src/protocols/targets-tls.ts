// How TLS is spoken with the targets of one listener, by their places in its plan. Called by dial.ts.

import type { ListenerCertificates } from "../shared/certificates.ts";
import type { SecureTargetPlan } from "../shared/http-plan.ts";
import { ClientTls } from "./wire/tls-context.ts";

interface Group {
  readonly targets: readonly SecureTargetPlan[];
}

export class TargetsTls {
  readonly #groups: readonly Group[];
  readonly #byPlace = new Map<string, ClientTls>();

  constructor(groups: readonly Group[], certificates: ListenerCertificates | null) {
    this.#groups = groups;
    if (certificates !== null) this.update(certificates);
  }

  /** @returns null for a target that is spoken to in clear. */
  of(group: number, index: number): ClientTls | null {
    return this.#byPlace.get(placeOf(group, index)) ?? null;
  }

  /** For handshakes that begin later. */
  update({ targets }: ListenerCertificates): void {
    for (const certificates of targets) {
      const { group, index } = certificates;
      const place = placeOf(group, index);
      const known = this.#byPlace.get(place);
      if (known !== undefined) {
        known.update(certificates);
        continue;
      }
      const { tls, endpoint } = this.#groups[group]!.targets[index]!;
      const host = endpoint.kind === "unix" ? "" : endpoint.host;
      if (tls !== null) this.#byPlace.set(place, new ClientTls(tls, host, certificates));
    }
  }
}

function placeOf(group: number, index: number): string {
  return `${group} ${index}`;
}
