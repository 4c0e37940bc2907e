// One order from newOrder to the certificate (RFC 8555 section 7.4). It is on disk with its key before anything is proven, so
// that whoever comes after a crash goes on with it, and it is off the disk as soon as it can lead to nothing. Called by the
// issuer.

import type { X509Certificate } from "node:crypto";
import { isIP } from "node:net";

import { ACME } from "../../../shared/auto-tls-limits.ts";
import { IssueError } from "../issue-error.ts";
import type { IssuedCertificate, IssueRequest } from "../issuer.ts";
import type { CertificateStorage } from "../storage.ts";
import type { StoredOrder } from "../storage/orders.ts";
import { exportKey, makeKeys } from "../x509.ts";
import { isForgotten } from "./account.ts";
import { ProofError, proveAll } from "./authorizations.ts";
import { chainText, leadsTo, readChain, verifyChain } from "./chain.ts";
import { pollUntil } from "./polling.ts";
import { certificateId } from "./renewal-info.ts";
import { type Order, readOrder } from "./resources.ts";
import { acmeClient, RefusedError, type Session } from "./session.ts";
import type { Answer } from "./transport.ts";

/** An order that leads to nothing any more; the next attempt begins with a new one. */
class DeadOrderError extends IssueError {}

export interface OrderContext {
  readonly storage: CertificateStorage;
  readonly session: Session;
  /** For people: what did not go well, and stops nothing. */
  readonly warn: (message: string) => void;
  readonly now: () => number;
}

/** @throws IssueError; ProxyError ERR_STORAGE; or the signal's reason. */
export async function obtain(
  context: OrderContext,
  request: IssueRequest,
): Promise<IssuedCertificate> {
  const stored = await findOrder(context, request);
  if (stored !== null) {
    try {
      return await complete(context, request, stored, null);
    } catch (error) {
      // It was begun by another process, maybe days ago: that it has come to an end says nothing of a new one.
      if (!(error instanceof DeadOrderError)) throw error;
      context.warn(`an order that was begun earlier is given up: ${error.message}`);
    }
  }
  const { order, answer } = await begin(context, request);
  return complete(context, request, order, answer);
}

/** The order under way that is for just this; null: there is none. Others are forgotten. */
async function findOrder(
  { storage, session, now }: OrderContext,
  { names, keyType }: IssueRequest,
): Promise<StoredOrder | null> {
  const [name = ""] = names;
  const order = await storage.orders.read(name);
  if (order === null) return null;
  const { plan } = session.connection;
  const fits =
    order.directory === plan.directory &&
    order.account === session.accountUrl &&
    order.keyType === keyType &&
    order.profile === plan.profile &&
    order.createdMs > now() - ACME.orderKeptMs &&
    order.names.join() === names.join();
  if (fits) return order;
  await storage.orders.remove(name);
  return null;
}

async function begin(
  { storage, session, now, warn }: OrderContext,
  request: IssueRequest,
): Promise<{ order: StoredOrder; answer: Answer }> {
  const { names, keyType } = request;
  const { plan } = session.connection;
  const { newOrder, renewalInfo, profiles } = await session.connection.directory(session.signal);
  if (plan.profile !== null && !profiles.has(plan.profile)) {
    const known = [...profiles.keys()].join(", ") || "it has none";
    const problem = `${plan.name} has no profile ${plan.profile}: ${known}`;
    throw new IssueError(problem, { isFinal: true }, { cure: "Name one of these, or none" });
  }
  const key = await exportKey(await makeKeys(keyType));
  const payload = {
    identifiers: names.map((value) => ({ type: isIP(value) === 0 ? "dns" : "ip", value })),
    ...(plan.profile !== null && { profile: plan.profile }),
  };
  const replaces =
    renewalInfo === null || request.replaces === null ? null : certificateId(request.replaces);
  const what = `${plan.name} takes no order for ${names.join(", ")}`;
  let answer: Answer;
  try {
    const wanted = replaces === null ? payload : { ...payload, replaces };
    answer = await session.post(newOrder, wanted, what);
  } catch (error) {
    if (replaces === null || !isAboutReplaced(error)) throw error;
    warn(`${(error as Error).message}; it is ordered without telling what it replaces`);
    answer = await session.post(newOrder, payload, what);
  }
  const url = answer.headers.get("location");
  if (url === null) throw new IssueError(`${what}: its answer has no URL`);
  const order = {
    url,
    directory: plan.directory,
    account: session.accountUrl ?? "",
    names,
    keyType,
    profile: plan.profile,
    createdMs: now(),
    key,
  };
  await storage.orders.save(order);
  return { order, answer };
}

/** RFC 9773 section 5: it was replaced already, or is not of this account, or not known. */
function isAboutReplaced(error: unknown): boolean {
  if (!(error instanceof RefusedError)) return false;
  if (error.type === "alreadyReplaced" || error.status === 404 || error.status === 409) return true;
  return error.type === "malformed" || error.type === "unauthorized";
}

/** @param first the answer that the order came with; null: it is read anew. */
async function complete(
  context: OrderContext,
  request: IssueRequest,
  stored: StoredOrder,
  first: Answer | null,
): Promise<IssuedCertificate> {
  const { storage, session } = context;
  try {
    const order = await readStored(session, stored, first);
    const valid = await advance(context, request, stored, order);
    return await download(context, stored, valid);
  } catch (error) {
    const isProof = error instanceof ProofError;
    const isOver = isProof ? error.order !== "alive" : error instanceof DeadOrderError;
    if (isOver) await storage.orders.remove(stored.names[0]!);
    throw isProof && error.order === "stale" ? dead(error.message, error) : error;
  }
}

async function readStored(
  session: Session,
  { url }: StoredOrder,
  first: Answer | null,
): Promise<Order> {
  try {
    const what = `${session.name} does not show the order`;
    return readOrder(session.name, first ?? (await session.read(url, what)));
  } catch (error) {
    throw deadIfRefused(error); // an order that it does not know any more, or not as ours
  }
}

async function finalize(
  session: Session,
  order: Order,
  csr: string,
  what: string,
): Promise<Answer> {
  try {
    return await session.post(order.finalize, { csr }, what);
  } catch (error) {
    throw deadIfRefused(error); // the same request would be refused again
  }
}

/** What an authority refuses, other than for now, is of no more use. */
function deadIfRefused(error: unknown): unknown {
  if (!(error instanceof RefusedError) || error.status >= 500) return error;
  const isForNow = error.status === 429 || error.type === "rateLimited";
  return isForNow || isForgotten(error) ? error : dead(error.message, error);
}

/** From whatever state to `valid` (RFC 8555 section 7.1.6). */
async function advance(
  { session, warn }: OrderContext,
  { solvers }: IssueRequest,
  stored: StoredOrder,
  begun: Order,
): Promise<Order> {
  let order = begun;
  const what = `${session.name}: the order for ${stored.names.join(", ")}`;
  const settled = (isDone: (each: Order) => boolean, first: Answer | null): Promise<Order> =>
    pollUntil(
      session,
      stored.url,
      (answer) => readOrder(session.name, answer),
      isDone,
      what,
      ACME.orderMs,
      first,
    );
  if (order.status === "pending") {
    await proveAll(session, stored.names, order.authorizations, solvers, warn);
    order = await settled(({ status }) => status !== "pending", null);
  }
  if (order.status === "ready") {
    const csr = await certificateRequest(stored);
    const answer = await finalize(session, order, csr, `${what} is not finalised`);
    order = await settled(({ status }) => status !== "processing" && status !== "ready", answer);
  } else if (order.status === "processing") {
    order = await settled(({ status }) => status !== "processing", null);
  }
  if (order.status === "valid" && order.certificate !== null) return order;
  throw dead(`${what} is ${order.status}${order.error.text && `: ${order.error.text}`}`);
}

/** PKCS #10, base64url of DER. */
async function certificateRequest({ names, key }: StoredOrder): Promise<string> {
  const { crypto } = acmeClient();
  const pem = Buffer.from(key.reveal());
  const [, csr] = await crypto.createCsr({ altNames: [...names] }, pem);
  return crypto.getPemBodyAsB64u(csr);
}

async function download(
  { session, now, warn }: OrderContext,
  { names, key }: StoredOrder,
  { certificate }: Order,
): Promise<IssuedCertificate> {
  const { name, preferredChain } = session.connection.plan;
  const what = `${name} does not give the certificate for ${names.join(", ")}`;
  const answer = await session.read(certificate!, what);
  let chain = readChain(name, answer.body);
  if (preferredChain !== null && !leadsTo(chain, preferredChain)) {
    const other = await findChain(
      session,
      alternatesOf(answer, certificate!),
      preferredChain,
      what,
    );
    if (other === null) warn(`${name} has no chain to ${preferredChain}: its first is used`);
    chain = other ?? chain;
  }
  try {
    verifyChain(name, chain, key, names, now());
  } catch (error) {
    throw dead((error as Error).message, error);
  }
  return { chain: chainText(chain), key };
}

/** RFC 8555 section 7.4.2 */
async function findChain(
  session: Session,
  urls: readonly string[],
  root: string,
  what: string,
): Promise<X509Certificate[] | null> {
  for (const url of urls.slice(0, ACME.alternatesMax)) {
    const chain = readChain(session.name, (await session.read(url, what)).body);
    if (leadsTo(chain, root)) return chain;
  }
  return null;
}

/** Link: <URL>;rel="alternate" (RFC 8288). */
export function alternatesOf({ headers }: Answer, base: string): string[] {
  const links = (headers.get("link") ?? "").matchAll(/<([^>]*)>([^<]*)/g);
  return [...links].flatMap(([, target, parameters]) => {
    const isAlternate = /;\s*rel\s*=\s*(?:"[^"]*\balternate\b[^"]*"|alternate\b)/i.test(
      parameters!,
    );
    const url = isAlternate ? URL.parse(target!, base) : null;
    return url === null ? [] : [url.href];
  });
}

function dead(message: string, cause?: unknown): DeadOrderError {
  const failure = cause instanceof IssueError ? cause.failure : {};
  return new DeadOrderError(message, failure, cause === undefined ? {} : { cause });
}
