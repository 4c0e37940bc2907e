// Transfers over QUIC stay whole where packets are lost, late and out of order: HTTP/3 in and out, and the link of raw QUIC
// between two proxies. In a network namespace, over a link that this program makes (test/support/bad-link.ts).

import { expect } from "bun:test";

import { testInNamespace } from "../support/namespace.ts";

const SCRIPT = Bun.fileURLToPath(new URL("./bad-link/transfers.ts", import.meta.url));

interface Said {
  intact: boolean[];
  packets: number;
  lost: number;
}

for (const [what, link] of [
  ["50 ms away, with 2 % of packets lost and 2 % overtaken", ["25", "0.02", "0.02", "1"]],
  ["10 ms away, with 10 % of packets overtaken", ["5", "0", "0.1", "2"]],
] as const) {
  testInNamespace([], `transfers are whole ${what}`, [SCRIPT, ...link], ({ stdout }) => {
    const { intact, packets, lost } = JSON.parse(stdout) as Said;
    expect(intact).toEqual(Array.from({ length: 6 }, () => true));
    expect(packets).toBeGreaterThan(500);
    if (link[1] !== "0") expect(lost).toBeGreaterThan(0);
  });
}
