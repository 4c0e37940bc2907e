// The list of contestants, in the order of the tables.

import { direct } from "./direct.ts";
import { frp } from "./frp.ts";
import { go } from "./go.ts";
import { gost } from "./gost.ts";
import { haproxy, haproxyTuned } from "./haproxy.ts";
import { nginx, nginxTuned } from "./nginx.ts";
import type { Peer } from "./peer.ts";
import { proxyPeer } from "./proxy.ts";
import { rathole } from "./rathole.ts";

export function peers(directory: string): Peer[] {
  return [
    direct,
    proxyPeer("uring", directory),
    proxyPeer("epoll", directory),
    proxyPeer("bun", directory),
    nginx,
    nginxTuned,
    haproxy,
    haproxyTuned,
    go,
    gost,
    rathole,
    frp,
  ];
}
