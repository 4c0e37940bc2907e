// The list of contestants, in the order of the tables.

import { direct } from "./direct.ts";
import { frp } from "./frp.ts";
import { go } from "./go.ts";
import { gost } from "./gost.ts";
import { haproxy, haproxyOfTwo, haproxyTuned } from "./haproxy.ts";
import { caddy } from "./http/caddy.ts";
import { haproxyGateway } from "./http/haproxy.ts";
import { nginxGateway } from "./http/nginx.ts";
import { proxyGateway } from "./http/proxy.ts";
import { nginx, nginxDatagrams, nginxOfTwo, nginxTuned } from "./nginx.ts";
import type { Peer } from "./peer.ts";
import { proxyOfTwo, proxyPeer } from "./proxy.ts";
import { caddyHttp3 } from "./quic/caddy.ts";
import { quicGo } from "./quic/go.ts";
import { matrixai } from "./quic/matrixai.ts";
import { proxyQuic } from "./quic/proxy.ts";
import { rathole } from "./rathole.ts";
import { goDatagrams } from "./udp/go.ts";
import { gostDatagrams } from "./udp/gost.ts";
import { proxyDatagrams } from "./udp/proxy.ts";

export function peers(directory: string): Peer[] {
  return [
    direct,
    proxyPeer("uring", directory),
    proxyOfTwo("uring", directory),
    proxyPeer("epoll", directory),
    proxyOfTwo("epoll", directory),
    proxyPeer("bun", directory),
    proxyOfTwo("bun", directory),
    nginx,
    nginxTuned,
    nginxOfTwo,
    haproxy,
    haproxyTuned,
    haproxyOfTwo,
    go,
    gost,
    rathole,
    frp,
    proxyDatagrams,
    nginxDatagrams,
    goDatagrams,
    gostDatagrams,
    proxyGateway(directory),
    nginxGateway,
    haproxyGateway,
    caddy,
    proxyQuic,
    caddyHttp3,
    quicGo,
    matrixai,
  ];
}
