// The measurements of datagrams, in the order in which they run.

import type { Measurement } from "../engine/measurement.ts";
import { flow } from "./flow.ts";
import { questions } from "./questions.ts";

export const UDP: readonly Measurement[] = [
  questions(1, 64),
  questions(64, 64),
  questions(512, 64),
  questions(64, 1_200),
  questions(512, 1_200),
  flow,
];
