// Whole configuration files: each invalid one with the exact error text beside it, each valid one with its plan. To
// accept a change after reading it: UPDATE_EXPECTED=1 bun test test/config/files.test.ts

import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

import { checkGrammar, checkSource } from "../../src/config/check.ts";
import { parseSource } from "../../src/config/load.ts";
import { problemsError } from "../../src/config/problems.ts";
import { compile } from "../../src/control/compile.ts";
import { ProxyError } from "../../src/shared/errors.ts";

const INVALID = join(import.meta.dir, "invalid");
const LATER = join(import.meta.dir, "later");
const VALID = join(import.meta.dir, "valid");
const MACHINE = { platform: "linux", cpus: 4, folder: "/srv", terminal: false } as const;

const yamlIn = (folder: string): string[] =>
  readdirSync(folder).filter((name) => name.endsWith(".yaml"));

function load(path: string) {
  return checkSource(parseSource(readFileSync(path), basename(path)));
}

function expectFile(path: string, actual: string): void {
  if (process.env.UPDATE_EXPECTED === "1") writeFileSync(path, actual);
  expect(existsSync(path)).toBe(true);
  expect(actual).toBe(readFileSync(path, "utf8"));
}

function errorOf(path: string): ProxyError {
  try {
    load(path);
  } catch (error) {
    if (error instanceof ProxyError) return error;
    throw error;
  }
  throw new Error(`${path} was accepted`);
}

describe("an invalid file is refused with every mistake and its place", () => {
  for (const name of yamlIn(INVALID)) {
    test(name, () => {
      const { code, message } = errorOf(join(INVALID, name));
      const onlyLater = message.split("\n").every((line) => line.includes("not available"));
      expect(code).toBe(onlyLater ? "ERR_NOT_AVAILABLE" : "ERR_CONFIG");
      expectFile(join(INVALID, name.replace(/yaml$/, "txt")), `${message}\n`);
    });
  }

  test("there is no expectation without its file", () => {
    const texts = readdirSync(INVALID).filter((name) => name.endsWith(".txt"));
    expect(texts.map((name) => name.replace(/txt$/, "yaml")).toSorted()).toEqual(
      yamlIn(INVALID).toSorted(),
    );
    expect(texts.length).toBeGreaterThanOrEqual(25);
  });
});

describe("what is not available yet has its grammar all the same", () => {
  for (const name of yamlIn(LATER)) {
    test(name, () => {
      const source = parseSource(readFileSync(join(LATER, name)), name);
      const checked = checkGrammar(source);
      if (!("problems" in checked)) throw new Error(`${name} was accepted`);
      const { message } = problemsError("ERR_CONFIG", checked.problems);
      expectFile(join(LATER, name.replace(/yaml$/, "txt")), `${message}\n`);
      expect(() => checkSource(source)).toThrow("not available in this version");
    });
  }
});

describe("a valid file means exactly this plan", () => {
  for (const name of yamlIn(VALID)) {
    test(name, () => {
      const plan = compile(load(join(VALID, name)), MACHINE);
      expectFile(join(VALID, name.replace(/yaml$/, "json")), `${JSON.stringify(plan, null, 2)}\n`);
    });
  }
});
