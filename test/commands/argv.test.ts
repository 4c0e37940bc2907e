// How the command line may be spelled, and what is refused: every mistake at once, with the nearest flag.

import { describe, expect, test } from "bun:test";

import * as fc from "fast-check";

import { parseArgv } from "../../src/commands/argv.ts";
import { ProxyError } from "../../src/shared/errors.ts";

const ARGS = {
  listen: { type: "string", valueHint: ":8080" },
  "log-level": { type: "string", valueHint: "info" },
  staging: { type: "boolean" },
} as const;
const WITH_FILE = { file: { type: "positional" } } as const;

function messageOf(words: string[], args: Parameters<typeof parseArgv>[1] = ARGS): string {
  try {
    parseArgv(words, args);
  } catch (error) {
    expect(error).toBeInstanceOf(ProxyError);
    expect((error as ProxyError).code).toBe("ERR_USAGE");
    return (error as Error).message;
  }
  throw new Error(`${words.join(" ")} was accepted`);
}

describe("spellings that mean the same", () => {
  test.each([[["-listen", ":80"]], [["--listen", ":80"]], [["-listen=:80"]], [["--listen=:80"]]])(
    "%p",
    (words) => expect(parseArgv(words, ARGS).rawArgs).toEqual(["--listen=:80", "--"]),
  );

  test.each([[["-staging"]], [["--staging"]], [["-staging=true"]]])("%p", (words) =>
    expect(parseArgv(words, ARGS).rawArgs).toEqual(["--staging", "--"]),
  );

  test("a switch can be turned off", () => {
    expect(parseArgv(["-staging=false"], ARGS).rawArgs).toEqual(["--"]);
  });

  test("a value may hold an equals sign, and a dash after one", () => {
    expect(parseArgv(["-listen=unix:/a=b", "-log-level=-x"], ARGS).rawArgs).toEqual([
      "--listen=unix:/a=b",
      "--log-level=-x",
      "--",
    ]);
  });

  test.each([[["-h"]], [["-help"]], [["--help"]], [["-listen", "-h"]], [["-unknown", "--h"]]])(
    "%p asks for help",
    (words) => expect(parseArgv(words, ARGS).help).toBe(true),
  );

  test("positional arguments, also those that look like flags", () => {
    expect(parseArgv(["a.yaml"], WITH_FILE).rawArgs).toEqual(["--", "a.yaml"]);
    expect(parseArgv(["-"], WITH_FILE).rawArgs).toEqual(["--", "-"]);
    expect(parseArgv(["--", "-a.yaml"], WITH_FILE).rawArgs).toEqual(["--", "-a.yaml"]);
  });
});

describe("mistakes", () => {
  test.each([
    [["-lisen", ":80"], "unknown flag -lisen. Did you mean -listen?"],
    [["--lisen=:80"], "unknown flag --lisen. Did you mean -listen?"],
    [["-log_level", "info"], "unknown flag -log_level. Did you mean -log-level?"],
    [["-frobnicate"], "unknown flag -frobnicate. Known here: -listen, -log-level, -staging, -help"],
    [["--no-staging"], "unknown flag --no-staging. Did you mean -staging?"],
    [["-listen"], "-listen needs a value: -listen :8080"],
    [["-listen="], "-listen needs a value: -listen :8080"],
    [["-listen", "-staging"], "-listen needs a value: -listen :8080"],
    [["-listen", ":1", "-listen", ":2"], "-listen is given twice"],
    [["-staging=maybe"], '-staging is true or false, not "maybe"'],
    [[":8080"], 'unexpected argument ":8080". Flags begin with a dash: -listen :8080'],
    [["-constructor"], "unknown flag -constructor"],
    [["---listen", ":80"], "unknown flag ---listen. Did you mean -listen?"],
    [["--", "-listen"], 'after "--", "-listen" is not read as a flag. Remove the "--"'],
  ])("%p", (words, message) => expect(messageOf(words)).toStartWith(message));

  test("all of them are reported at once", () => {
    expect(messageOf(["-lisen", ":80", "-log-level", "stray"]).split("\n")).toEqual([
      "unknown flag -lisen. Did you mean -listen?",
    ]);
    expect(messageOf(["-lisen", ":80", "stray", "-log-level"]).split("\n")).toEqual([
      "unknown flag -lisen. Did you mean -listen?",
      "-log-level needs a value: -log-level info",
      'unexpected argument "stray". Flags begin with a dash: -listen :8080',
    ]);
  });

  test("a missing positional argument is named", () => {
    expect(messageOf([], WITH_FILE)).toBe("FILE is missing");
    expect(messageOf(["a", "b"], WITH_FILE)).toContain('unexpected argument "b"');
  });
});

describe("a command", () => {
  const message = (...words: string[]): string => {
    try {
      parseArgv(words, WITH_FILE, { command: "check" });
    } catch (error) {
      return (error as Error).message;
    }
    throw new Error("accepted");
  };

  test("says what its argument should have been", () => {
    expect(message()).toBe("FILE is missing. Write proxy check FILE");
    for (const words of [["-config", "x.yaml"], ["--config=x.yaml"]]) {
      expect(message(...words)).toEndWith("check takes no flags. Write proxy check x.yaml");
    }
    expect(message("-quiet")).toBe(
      "unknown flag -quiet. check takes no flags. Write proxy check FILE",
    );
  });
});

test("a negative number is a value, so that its own error is the only one", () => {
  expect(parseArgv(["-log-level", "-1"], ARGS).rawArgs).toEqual(["--log-level=-1", "--"]);
});

test("any command line is either spelled for citty, asks for help, or is refused with a reason", () => {
  const word = fc.oneof(
    fc.constantFrom(
      "-listen",
      "--listen",
      "-listen=:1",
      "-staging",
      "-log-level",
      "-h",
      "--",
      "-",
      "=",
      "-=",
      "x",
    ),
    fc.string({ maxLength: 8 }),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 6 }), (words) => {
      try {
        const { rawArgs, help } = parseArgv(words, ARGS);
        for (const arg of rawArgs) expect(arg).toMatch(/^--(listen=[^]+|log-level=[^]+|staging|)$/);
        if (help) expect(rawArgs).toEqual([]);
      } catch (error) {
        expect(error).toBeInstanceOf(ProxyError);
        expect((error as Error).message).not.toBe("");
      }
    }),
    { numRuns: 2_000 },
  );
});
