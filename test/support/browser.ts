// A browser for tests: Debian's Chromium, or Google's on machines that have that one, driven by playwright-core.

import { type Browser, chromium } from "playwright-core";

import { findProgram, program } from "./programs.ts";

/** @param flags of Chromium, besides those that a machine for tests needs. */
export function startBrowser(...flags: string[]): Promise<Browser> {
  return chromium.launch({
    executablePath: findProgram("google-chrome") ?? program("chromium"),
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--no-first-run",
      "--disable-background-networking",
      "--ignore-certificate-errors",
      ...flags,
    ],
  });
}
