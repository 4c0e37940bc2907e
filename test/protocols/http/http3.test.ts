// A listener of http3 in a proxy of this process, with the runtime's own client: who is let in, and what is counted and shown of
// those who are.

import { afterAll, describe, expect, test } from "bun:test";

import { Authority } from "../../support/certificates.ts";
import { HttpProxy } from "../../support/http-proxy.ts";
import { NotingBackend } from "../../support/noting-backend.ts";
import { until } from "../../support/until.ts";

const authority = new Authority();
afterAll(() => authority[Symbol.dispose]());
const { certFile, keyFile } = authority.issue(["localhost"]);
const TLS = { tls: { cert_file: certFile, key_file: keyFile } };

interface Options extends RequestInit {
  protocol: "h3";
  tls: { rejectUnauthorized: boolean };
}

function ask({ address }: HttpProxy, timeoutMs = 10_000): Promise<Response> {
  const options: Options = {
    protocol: "h3",
    tls: { rejectUnauthorized: false },
    signal: AbortSignal.timeout(timeoutMs),
  };
  return fetch(`https://127.0.0.1:${(address as { port: number }).port}/`, options);
}

describe("a listener of http3", () => {
  test.each([{}, { tcp: false }])("with %p counts and shows its clients", async (keys) => {
    using backend = await NotingBackend.start();
    const http3 = { name: "http3", target: backend.target, ...TLS, ...keys };
    await using proxy = await HttpProxy.start(http3, { workers: 2 });
    expect((await ask(proxy)).status).toBe(200);
    expect(proxy.stats).toMatchObject({ total: 1, active: 1, http: { requests: 1 } });
    const [connection] = proxy.proxy.connections();
    expect(connection!.client).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(backend.requests[0]).toMatch(/^GET \/ HTTP\/1.1\r\n[^]*x-forwarded-proto: https/);
    const { id, worker } = connection!;
    proxy.proxy.disconnect(worker, id);
    await until("it is gone", () => proxy.stats.active === 0);
  });

  test("turns away who is denied, before there is a connection", async () => {
    using backend = await NotingBackend.start();
    const http3 = { name: "http3", target: backend.target, ...TLS, deny: ["127.0.0.0/8"] };
    await using proxy = await HttpProxy.start(http3);
    const asked = ask(proxy, 2_000).catch((error: Error) => error);
    await until("it is counted", () => proxy.stats.refused.denied > 0);
    expect(proxy.stats.total).toBe(0);
    expect(await asked).toBeInstanceOf(Error);
  });

  test("drains: who rests is told and gone, and the port is free", async () => {
    using backend = await NotingBackend.start();
    const proxy = await HttpProxy.start({ name: "http3", target: backend.target, ...TLS });
    expect((await ask(proxy)).status).toBe(200);
    expect(await proxy.proxy.stop(10_000)).toEqual({ reset: 0 });
  });
});
