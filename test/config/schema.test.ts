// The grammar as a whole: the original program's files, and the JSON Schema for editors.

import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { z } from "zod";

import { checkGrammar } from "../../src/config/check.ts";
import { parseSource } from "../../src/config/load.ts";
import { jsonSchema } from "../../src/config/schema.ts";

interface Shown {
  type?: string;
  description?: string;
  default?: unknown;
  properties?: Record<string, Shown>;
  items?: Shown;
  anyOf?: Shown[];
  additionalProperties?: unknown;
  required?: string[];
}

const problemsOf = (text: string): string[] => {
  const checked = checkGrammar(parseSource(text, "f"));
  return "problems" in checked
    ? checked.problems.map(({ place, message }) => `${place.text}: ${message}`)
    : [];
};

describe("the grammar takes every configuration of the original program's documentation unchanged", () => {
  test("two protocols and a certificate", () => {
    expect(
      problemsOf(`version: "1.0"
log_level: info

protocols:
  - name: tcp
    listen: ":8080"
    target: "127.0.0.1:80"
    enabled: true

  - name: http2
    listen: ":8443"
    target: "127.0.0.1:443"
    enabled: true

tls:
  cert_file: "./cert.pem"
  key_file: "./key.pem"
`),
    ).toEqual([]);
  });

  test("automatic certificates as options of strings", () => {
    expect(
      problemsOf(`version: "1.0"
log_level: info

protocols:
  - name: http2
    listen: ":443"
    target: "127.0.0.1:80"
    enabled: true

options:
  auto_tls: "true"
  email: "admin@example.com"
  domains: "example.com,www.example.com"
  staging: "false"
`),
    ).toEqual([]);
  });

  test("a file that uses the whole grammar", () => {
    expect(problemsOf(readFileSync(join(import.meta.dir, "reference.yaml"), "utf8"))).toEqual([]);
  });
});

describe("the JSON Schema", () => {
  const shown = jsonSchema() as Shown;

  test("describes every key, so that editors can show it", () => {
    const silent: string[] = [];
    const walk = (schema: Shown, path: string): void => {
      for (const [key, inner] of Object.entries(schema.properties ?? {})) {
        const at = `${path}.${key}`;
        if (!inner.description && !inner.properties && !inner.items) silent.push(at);
        walk(inner, at);
      }
      if (schema.items) walk(schema.items, `${path}[]`);
      for (const branch of schema.anyOf ?? []) walk(branch, path);
    };
    walk(shown, "");
    expect(silent).toEqual([]);
  });

  test("shows defaults in the words of the configuration", () => {
    const entry = shown.properties!.protocols!.items!.properties!;
    expect(shown.properties!.shutdown_timeout!.default).toBe("30s");
    expect(entry.timeouts!.properties!.connect!.default).toBe("5s");
    expect(entry.backpressure!.properties!.high_watermark!.default).toBe("1MB");
    expect(entry.socket!.properties!.nodelay!.default).toBe(true);
  });

  test("says what is required and that nothing else is allowed", () => {
    expect(shown.required).toEqual(["protocols"]);
    expect(shown.additionalProperties).toBe(false);
    expect(shown.properties!.protocols!.items!.required).toEqual(["name", "listen"]);
  });

  test("accepts every valid file, and refuses unknown keys and wrong kinds", () => {
    const fromJson = z.fromJSONSchema(shown as Parameters<typeof z.fromJSONSchema>[0]);
    const folder = join(import.meta.dir, "valid");
    const files = readdirSync(folder).filter((name) => name.endsWith(".yaml"));
    expect(files.length).toBeGreaterThan(5);
    for (const name of files) {
      const { value } = parseSource(readFileSync(join(folder, name)), name);
      expect([name, fromJson.safeParse(value).error?.issues ?? []]).toEqual([name, []]);
    }
    const reference = parseSource(readFileSync(join(import.meta.dir, "reference.yaml")), "f");
    expect(fromJson.safeParse(reference.value).success).toBe(true);
    const entry = { name: "tcp", listen: ":1", target: "a:1" };
    expect(fromJson.safeParse({ protocols: [entry] }).success).toBe(true);
    expect(fromJson.safeParse({ protocols: [{ ...entry, lisen: ":1" }] }).success).toBe(false);
    expect(fromJson.safeParse({ protocols: [{ ...entry, listen: "8080" }] }).success).toBe(false);
    expect(fromJson.safeParse({ protocols: [{ ...entry, target: "localhost" }] }).success).toBe(
      false,
    );
    expect(fromJson.safeParse({ protocols: [entry], shutdown_timeout: "30" }).success).toBe(false);
    expect(fromJson.safeParse({ protocols: [entry], engine: "warp" }).success).toBe(false);
  });
});
