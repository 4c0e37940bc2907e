// Credentials of roles: what ECS, EKS and the metadata service of an instance answer, and what else may come.

import { describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { readRole } from "../../../../src/control/dns/providers/aws-role.ts";
import { createDnsProvider } from "../../../../src/control/dns/providers/create.ts";
import { DNS_API } from "../../../../src/shared/auto-tls-limits.ts";
import { ProxyError } from "../../../../src/shared/errors.ts";
import { FakeRoute53 } from "../../../support/dns-apis/route53.ts";

const KEYS = { keyId: "ASIAROLE", keySecret: "role/secret+key", sessionToken: "role-token==" };
const BODY = {
  Code: "Success",
  Type: "AWS-HMAC",
  AccessKeyId: KEYS.keyId,
  SecretAccessKey: KEYS.keySecret,
  Token: KEYS.sessionToken,
  Expiration: "2026-11-23T06:00:00Z",
};
const NO_VENDOR = "/nonexistent/vendor";

interface Metadata extends AsyncDisposable {
  readonly origin: string;
  readonly seen: string[];
}

function serve(answer: (request: Request, path: string) => Response | Promise<Response>): Metadata {
  const seen: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => {
      const path = new URL(request.url).pathname;
      seen.push(`${request.method} ${path}`);
      return answer(request, path);
    },
  });
  return {
    origin: `http://127.0.0.1:${server.port}`,
    seen,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

/** An instance with the role `dns role`, and version 2 of the metadata service alone. */
function instance(body: unknown = BODY): Metadata {
  return serve((request, path) => {
    if (path === "/latest/api/token") {
      const ttl = Number(request.headers.get("x-aws-ec2-metadata-token-ttl-seconds"));
      const isRight = request.method === "PUT" && ttl >= 1 && ttl <= 21_600;
      return new Response(isRight ? "t0ken" : "", { status: isRight ? 200 : 400 });
    }
    if (request.headers.get("x-aws-ec2-metadata-token") !== "t0ken") {
      return new Response("", { status: 401 });
    }
    if (path === "/latest/meta-data/iam/security-credentials/") return new Response("dns role\n");
    return path.endsWith("/dns%20role") ? Response.json(body) : new Response("", { status: 404 });
  });
}

async function failureOf(environment: Record<string, string>): Promise<ProxyError> {
  const error: unknown = await readRole(environment, NO_VENDOR).then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ProxyError)) throw new Error("no failure", { cause: error });
  return error;
}

describe("an instance", () => {
  test("gives the keys of its role by version 2 of its metadata service", async () => {
    await using metadata = instance();
    const environment = { AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.origin };
    expect(await readRole(environment, NO_VENDOR)).toEqual(KEYS);
    expect(metadata.seen).toEqual([
      "PUT /latest/api/token",
      "GET /latest/meta-data/iam/security-credentials/",
      "GET /latest/meta-data/iam/security-credentials/dns%20role",
    ]);
  });

  test("without a role has no keys", async () => {
    await using metadata = serve((_, path) =>
      path.endsWith("token") ? new Response("t") : new Response("", { status: 404 }),
    );
    const environment = { AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.origin };
    expect(await readRole(environment, NO_VENDOR)).toBeNull();
  });

  test("is not asked if that is switched off, and no other machine is", async () => {
    await using metadata = instance();
    const environment = {
      AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.origin,
      AWS_EC2_METADATA_DISABLED: "true",
    };
    expect(await readRole(environment, NO_VENDOR)).toBeNull();
    expect(await readRole({}, NO_VENDOR)).toBeNull();
    expect(metadata.seen).toEqual([]);
  });
});

describe("a container", () => {
  test("gives its role's keys to who has the token, which is read from its file each time", async () => {
    const folder = await mkdtemp(join(tmpdir(), "role-"));
    try {
      await using agent = serve((request) =>
        request.headers.get("authorization") === "second"
          ? Response.json(BODY)
          : new Response("", { status: 401 }),
      );
      const file = join(folder, "token");
      const environment = {
        AWS_CONTAINER_CREDENTIALS_FULL_URI: `${agent.origin}/v1/credentials`,
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file,
      };
      await writeFile(file, "first\n");
      expect((await failureOf(environment)).message).toContain(
        "failed: status 401. Set AWS_ACCESS",
      );
      await writeFile(file, "second\n");
      expect(await readRole(environment, NO_VENDOR)).toEqual(KEYS);
      const { AWS_CONTAINER_CREDENTIALS_FULL_URI } = environment;
      const plain = { AWS_CONTAINER_CREDENTIALS_FULL_URI };
      expect(
        await readRole({ ...plain, AWS_CONTAINER_AUTHORIZATION_TOKEN: "second" }, NO_VENDOR),
      ).toEqual(KEYS);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("in clear, only this machine and AWS's own addresses are asked", async () => {
    for (const address of ["http://example.com/", "http://10.0.0.1/", "ftp://127.0.0.1/", "no"]) {
      const error = await failureOf({ AWS_CONTAINER_CREDENTIALS_FULL_URI: address });
      expect(error.code).toBe("ERR_CONFIG");
      expect(error.message).toStartWith("AWS_CONTAINER_CREDENTIALS_FULL_URI may not be asked. Use");
    }
  });
});

test("a task's path is a path of ECS's address, and nothing that leads elsewhere", async () => {
  for (const path of ["http://127.0.0.1:1/", "@127.0.0.1:1/", ""]) {
    const error = await failureOf({ AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: path });
    expect(error.message).toStartWith("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is no path. Leave");
  }
});

describe("what answers", () => {
  test("with something else than keys is told without what it said", async () => {
    const answers = [
      () => new Response("role/secret+key"),
      () => Response.json({ ...BODY, Token: undefined }),
      () => new Response(JSON.stringify(BODY), { status: 500 }),
      () => Response.redirect("http://127.0.0.1:1/"),
      () => new Response("role/secret+key".repeat(DNS_API.credentialMaxBytes)),
    ];
    for (const answer of answers) {
      await using agent = serve(answer);
      const error = await failureOf({ AWS_CONTAINER_CREDENTIALS_FULL_URI: agent.origin });
      expect(error.code).toBe("ERR_DNS_PROVIDER");
      expect(Bun.inspect(error)).not.toContain(KEYS.keySecret);
      expect(error.message).toStartWith(`Route 53: asking ${new URL(agent.origin).host} for the`);
    }
  });

  test("never is given up in time, and who is not there at once", async () => {
    const agent = serve(() => new Promise<Response>(() => {}));
    const environment = { AWS_CONTAINER_CREDENTIALS_FULL_URI: agent.origin };
    expect((await failureOf(environment)).message).toContain("failed: no answer within 2 s");
    await agent[Symbol.asyncDispose]();
    expect((await failureOf(environment)).message).toContain("for the credentials of this machine");
  });
});

test("Route 53 takes a role's keys where there are no others", async () => {
  await using api = new FakeRoute53();
  api.zone("example.com");
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = api.environment;
  await using metadata = instance({
    AccessKeyId: AWS_ACCESS_KEY_ID,
    SecretAccessKey: AWS_SECRET_ACCESS_KEY,
    Token: AWS_SESSION_TOKEN,
  });
  const provider = await createDnsProvider(
    { provider: "route53", credentialFiles: {} },
    { HOME: "/nonexistent", AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.origin },
    { endpoint: api.endpoint },
  );
  const name = "_acme-challenge.example.com";
  expect(await provider.find(name, ["value"], new AbortController().signal)).toEqual([]);
});
