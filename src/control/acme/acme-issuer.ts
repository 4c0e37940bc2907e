// An ACME authority as an issuer (RFC 8555): an account that is made when it is first needed, orders, renewal windows (RFC 9773)
// and revocation. What it does in which order stands here; how, in protocol/. Called by the manager.
//
// Invariant: whatever an order needs to be gone on with is on disk before the authority hears of it, or right after.

import { X509Certificate } from "node:crypto";

import { AUTO_TLS_BOUNDS } from "../../shared/auto-tls-limits.ts";
import type { AuthorityPlan, CertificateKeyType } from "../../shared/auto-tls-plan.ts";
import { ProxyError } from "../../shared/errors.ts";
import { IssueError } from "./issue-error.ts";
import type {
  IssuedCertificate,
  Issuer,
  IssueRequest,
  RenewalWindow,
  RevocationReason,
} from "./issuer.ts";
import { Accounts, type AccountsOptions, isForgotten } from "./protocol/account.ts";
import { checkSolvers } from "./protocol/authorizations.ts";
import { ZEROSSL_API } from "./protocol/binding.ts";
import { AuthorityConnection } from "./protocol/directory.ts";
import { obtain } from "./protocol/order.ts";
import { certificateId, readRenewalInfo } from "./protocol/renewal-info.ts";
import { RefusedError, type Session } from "./protocol/session.ts";
import type { CertificateStorage } from "./storage.ts";

export interface AcmeIssuerOptions {
  readonly plan: AuthorityPlan;
  readonly storage: CertificateStorage;
  /** For people: what did not go well, and stops nothing. */
  readonly warn: (message: string) => void;
  /** Unix time in milliseconds, which certificates are verified against. Default: the system's. */
  readonly now?: () => number;
  /** Of the account's key, if there is none yet. Default: p256. */
  readonly accountKeyType?: CertificateKeyType;
  /** Base URL of ZeroSSL's API. Default: its own. */
  readonly zeroSslApi?: string;
}

export class AcmeIssuer implements Issuer {
  readonly name: string;
  readonly #storage: CertificateStorage;
  readonly #warn: (message: string) => void;
  readonly #now: () => number;
  readonly #plan: AuthorityPlan;
  readonly #accountOptions: AccountsOptions;
  #parts: { connection: AuthorityConnection; accounts: Accounts } | null = null;

  /** Nothing is read or asked yet. */
  constructor(options: AcmeIssuerOptions) {
    const { plan, storage, warn, now, zeroSslApi = ZEROSSL_API } = options;
    this.name = plan.name;
    this.#plan = plan;
    this.#storage = storage;
    this.#warn = warn;
    this.#now = now ?? Date.now;
    this.#accountOptions = { zeroSslApi, keyType: options.accountKeyType ?? "p256" };
  }

  async issue(request: IssueRequest, signal: AbortSignal): Promise<IssuedCertificate> {
    const { names, solvers } = request;
    if (names.length === 0 || names.length > AUTO_TLS_BOUNDS.namesMax) {
      const problem = `${names.length} names are no certificate: 1 to ${AUTO_TLS_BOUNDS.namesMax} are`;
      throw new IssueError(problem, { isFinal: true });
    }
    checkSolvers(names, solvers);
    return this.#guarded(signal, async () => {
      const { accounts } = this.#open();
      const session = await accounts.session(signal);
      try {
        return await this.#obtain(session, request);
      } catch (error) {
        // A test authority that began anew, or a database that was restored: the key makes another account.
        if (!isForgotten(error)) throw error;
        this.#warn(`${this.name} has forgotten its account: another is made`);
        return this.#obtain(await accounts.again(session.accountUrl!, signal), request);
      }
    });
  }

  renewalWindow(chain: string, signal: AbortSignal): Promise<RenewalWindow | null> {
    return this.#guarded(signal, async () => {
      const { connection } = this.#open();
      const { renewalInfo } = await connection.directory(signal);
      const id = renewalInfo === null ? null : certificateId(chain);
      if (id === null) return null;
      const answer = await connection.get(`${renewalInfo!.replace(/\/$/, "")}/${id}`, signal);
      const what = `${this.name} gives no renewal window`;
      if (answer.status !== 200) throw new RefusedError(what, answer, Date.now());
      return readRenewalInfo(this.name, answer, Date.now());
    });
  }

  revoke(chain: string, reason: RevocationReason, signal: AbortSignal): Promise<void> {
    return this.#guarded(signal, async () => {
      const { connection, accounts } = this.#open();
      const { revokeCert } = await connection.directory(signal);
      const session = await accounts.session(signal);
      const certificate = new X509Certificate(chain).raw.toString("base64url");
      try {
        await session.post(revokeCert, { certificate, reason }, `${this.name} revokes nothing`);
      } catch (error) {
        if (!(error instanceof RefusedError) || error.type !== "alreadyRevoked") throw error;
      }
    });
  }

  #obtain(session: Session, request: IssueRequest): Promise<IssuedCertificate> {
    const context = { storage: this.#storage, session, warn: this.#warn, now: this.#now };
    return obtain(context, request);
  }

  #open(): { connection: AuthorityConnection; accounts: Accounts } {
    if (this.#parts === null) {
      const connection = new AuthorityConnection(this.#plan);
      const accounts = new Accounts(connection, this.#storage, this.#accountOptions);
      this.#parts = { connection, accounts };
    }
    return this.#parts;
  }

  /** Whatever goes wrong is an IssueError, or the storage's own error, or the signal's reason. */
  async #guarded<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ProxyError) throw error;
      const problem = `${this.name}: ${error instanceof Error ? error.message : String(error)}`;
      throw new IssueError(problem, {}, { cause: error });
    }
  }
}
