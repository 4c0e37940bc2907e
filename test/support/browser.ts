// A browser for tests: Debian's Chromium, or Google's on machines that have that one, or the one that `playwright install`
// brings, driven by playwright-core.

import { existsSync } from "node:fs";

import { type Browser, chromium } from "playwright-core";

import { findProgram, type Program } from "./programs.ts";

const INSTALLED = findProgram("google-chrome") ?? findProgram("chromium");

/** What tests with a browser need. */
export const BROWSER_PROGRAMS: readonly Program[] =
  INSTALLED === null && existsSync(chromium.executablePath())
    ? []
    : [findProgram("google-chrome") === null ? "chromium" : "google-chrome"];

/** @param flags of Chromium, besides those that a machine for tests needs. */
export function startBrowser(...flags: string[]): Promise<Browser> {
  return launch(["--ignore-certificate-errors", ...flags], {});
}

/** It believes certificates as a user's does. @param home the user's folder, with the stores of authorities. */
export function startBelievingBrowser(home: string): Promise<Browser> {
  return launch([], { HOME: home });
}

function launch(flags: readonly string[], env: Record<string, string>): Promise<Browser> {
  return chromium.launch({
    ...(INSTALLED !== null && { executablePath: INSTALLED }),
    headless: true,
    env: { ...(process.env as Record<string, string>), ...env },
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--no-first-run",
      "--disable-background-networking",
      ...flags,
    ],
  });
}
