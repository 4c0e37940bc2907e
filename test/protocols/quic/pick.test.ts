// Which driver runs, what is said where there is none, and who is told of keys.

import { expect, test } from "bun:test";

import { pickDriver, pickHttp3Driver } from "../../../src/protocols/quic/pick.ts";
import { loadBinding } from "../../../src/protocols/quic/quiche/binding.ts";
import { ProxyError } from "../../../src/shared/errors.ts";
import { TestHost } from "../../support/gateway-host.ts";
import { until } from "../../support/until.ts";
import { clientOptions, connect, Server } from "./harness.ts";

const hasQuiche = !(loadBinding() instanceof ProxyError);

test("the one that is asked for runs, and quiche by itself where it is there", () => {
  const host = new TestHost();
  expect(pickDriver("bun", host).name).toBe("bun");
  expect(pickDriver("auto", host).name).toBe(hasQuiche ? "quiche" : "bun");
});

test("HTTP/3 without quiche is an error that does not advise the driver bun, which has no HTTP/3", () => {
  const missing = new ProxyError("ERR_ENGINE", "the QUIC driver quiche is not available");
  let thrown: unknown;
  try {
    pickHttp3Driver(new TestHost(), () => missing);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(ProxyError);
  const { code, message, cure } = thrown as ProxyError;
  expect(code).toBe("ERR_ENGINE");
  expect(message).toContain("quiche is not available");
  expect(cure).toContain("http2");
  expect(cure).not.toContain("driver");
});

test("keys of both ends of a connection are told to a worker that logs them", async () => {
  const [near, far]: [string[], string[]] = [[], []];
  const [client, server] = [near, far].map((lines) => {
    const host = new TestHost();
    host.keyLog = (line) => void lines.push(line);
    return pickDriver("auto", host);
  }) as [ReturnType<typeof pickDriver>, ReturnType<typeof pickDriver>];
  await using listening = await Server.listen(server);
  const told = await connect(client, clientOptions(listening.address));
  const secret = /^CLIENT_TRAFFIC_SECRET_0 [0-9a-f]{64} [0-9a-f]{64,96}$/;
  const find = (lines: string[]): string | undefined => lines.find((line) => secret.test(line));
  await until("the secrets", () => find(near) !== undefined && find(far) !== undefined);
  expect(find(near)).toBe(find(far)!);
  told.connection.destroy();
});
