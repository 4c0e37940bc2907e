// What the README says of flags and keys is what the program knows: a table that drifts from the grammar fails here.
import { expect, test } from "bun:test";

import { checkSource } from "../../src/config/check.ts";
import { parseSource } from "../../src/config/load.ts";

const root = Bun.fileURLToPath(new URL("../..", import.meta.url));
const readme = await Bun.file(`${root}/README.md`).text();

function proxy(...args: string[]): string {
  const { stdout, exitCode } = Bun.spawnSync([process.execPath, `${root}/src/cli.ts`, ...args]);
  expect(exitCode).toBe(0);
  return stdout.toString();
}

/** The code in the first cell of each row of each table. */
function firstCells(): string[] {
  return [...readme.matchAll(/^\| `([^`]+)`/gm)].map((match) => match[1]!);
}

interface JsonSchema {
  properties?: Record<string, JsonSchema>;
  items?: JsonSchema;
}

/** Paths of every key, also of those that have keys of their own. */
function keys(schema: JsonSchema, path = ""): string[] {
  if (schema.items !== undefined) return keys(schema.items, `${path}[]`);
  const inner = Object.entries(schema.properties ?? {}).flatMap(([key, value]) =>
    keys(value, path === "" ? key : `${path}.${key}`),
  );
  return [path, ...inner];
}

/** Paths of every leaf, as `protocols[].limits.max_connections`. */
function leaves(schema: JsonSchema, path = ""): string[] {
  if (schema.items !== undefined) return leaves(schema.items, `${path}[]`);
  if (schema.properties === undefined) return [path];
  return Object.entries(schema.properties).flatMap(([key, inner]) =>
    leaves(inner, path === "" ? key : `${path}.${key}`),
  );
}

test("every flag of the help page is in the README, and no other", () => {
  const help = [...proxy("-h").matchAll(/^ {2}(-[a-z-]+)/gm)].map((match) => match[1]!);
  const said = firstCells().filter((cell) => cell.startsWith("-"));
  expect(said.toSorted()).toEqual(help.toSorted());
});

test("every key in the README's table is in the schema", () => {
  const known = keys(JSON.parse(proxy("schema")) as JsonSchema);
  const said = firstCells().filter((cell) => cell.startsWith("protocols[]."));
  expect(said.length).toBeGreaterThan(15);
  expect(said.filter((key) => !known.includes(key))).toEqual([]);
});

test("every example of a configuration in the README is valid", async () => {
  const examples = [...readme.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map((match) => match[1]!);
  const whole = examples.filter((text) => /^protocols:/m.test(text));
  expect(whole.length).toBeGreaterThan(5);
  for (const text of whole) expect(() => checkSource(parseSource(text, "README.md"))).not.toThrow();
});

test("every key of the schema is in the README: in the table, or among what is not available", () => {
  const known = leaves(JSON.parse(proxy("schema")) as JsonSchema);
  const unsaid = known.filter((key) => {
    const names = key
      .replace("protocols[].", "")
      .split(/[.[\]]+/)
      .filter((name) => name !== "");
    // An ancestor that is not available takes what is below with it.
    names.push(names.slice(-2).join("."));
    const isSaid = (name: string): boolean =>
      readme.includes(`\`${name}\``) || readme.includes(`\`${name}[]\``);
    return !firstCells().includes(key) && !names.some(isSaid);
  });
  expect(unsaid.filter((key) => !key.startsWith("options."))).toEqual([]);
});
