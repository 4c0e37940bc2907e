// A backend on Node's own HTTP server: `node node-backend.mjs PORT`. The last part of a path says what it does; what it was
// asked comes back as JSON. Started by tests of the gateway.

import { createHash } from "node:crypto";
import { createServer } from "node:http";

function json(response, value) {
  const text = JSON.stringify(value);
  response.writeHead(200, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
}

const ANSWERS = {
  /** What the request was. */
  request({ method, url, httpVersion, headers, rawHeaders }, response) {
    json(response, { method, url, httpVersion, headers, rawHeaders });
  },
  /** The body's length and sum. */
  sum(request, response) {
    const hash = createHash("sha256");
    let bytes = 0;
    request.on("data", (chunk) => {
      bytes += chunk.length;
      hash.update(chunk);
    });
    request.on("end", () => {
      const { headers, trailers } = request;
      json(response, { bytes, sha256: hash.digest("hex"), headers, trailers });
    });
  },
  /** The body itself, as it comes. */
  echo(request, response) {
    request.pipe(response);
  },
  /** Three parts of unknown length, and trailers. */
  trailers(request, response) {
    response.writeHead(200, { trailer: "x-sum, x-count" });
    for (const part of ["one ", "two ", "three\n"]) response.write(part);
    response.addTrailers({ "x-sum": "abc", "x-count": "3" });
    response.end();
  },
  /** A first part at once, and the rest when somebody asks for `go`. */
  stream(request, response) {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write("data: first\n\n");
    waiting.add(response);
  },
  go(request, response) {
    for (const each of waiting) each.end("data: last\n\n");
    waiting.clear();
    response.end("went\n");
  },
  /** Early hints before the answer. */
  hints(request, response) {
    response.writeEarlyHints({ link: "</style.css>; rel=preload" });
    response.end("hinted\n");
  },
  /** No body, and a length that one would have. */
  nothing(request, response) {
    response.writeHead(204);
    response.end();
  },
};

const waiting = new Set();

function answer(request, response) {
  const name = request.url.replace(/\?.*/, "").split("/").at(-1);
  const found = ANSWERS[name];
  if (found !== undefined) return found(request, response);
  response.writeHead(404);
  response.end("nothing of that name\n");
}

const server = createServer(answer);
server.keepAliveTimeout = 60_000;
server.requestTimeout = 0;
server.on("checkContinue", (request, response) => {
  if (request.url.endsWith("/refuse")) {
    response.writeHead(417, { connection: "close" });
    response.end("refused\n");
    return;
  }
  response.writeContinue();
  answer(request, response);
});
server.listen(Number(process.argv[2]), "127.0.0.1");
process.once("SIGINT", () => process.exit(0));
