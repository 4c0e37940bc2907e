// What a worker holds of a target (l4/health.ts says how it comes to one). The order is the layout of counters.ts.

export const TARGET_STATES = ["up", "ejected", "half_open", "down"] as const;
export type TargetState = (typeof TARGET_STATES)[number];
