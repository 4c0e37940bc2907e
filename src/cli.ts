#!/usr/bin/env bun
// The executable. Everything is in commands/; this file only ends the process with the command's exit code.

import { main } from "./commands/main.ts";

process.exitCode = await main(process.argv.slice(2));
