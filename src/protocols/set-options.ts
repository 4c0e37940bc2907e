// Socket options as a listener sets them on its clients' and its targets' sockets: what cannot be had is a warning, once for each
// text, and never an error. Called by the listeners of tls and http.

import { Warnings } from "../shared/warnings.ts";
import type { GatewayHost } from "./host.ts";
import type { SetSocketOptions } from "./wire/open.ts";

/** @param key of the listener. */
export function setAndWarn(host: GatewayHost, key: string): SetSocketOptions {
  const warnings = new Warnings(key, (event) => host.emit(event));
  return (fd, options, role) => warnings.add(host.setSocketOptions(fd, options, role));
}
