// Serves handler.mjs without Next.js, on 127.0.0.1, and tells on standard output, one JSON object a line:
//
//   {"port": 41234}                                         first, when it listens
//   {"at", "method", "path", "headers", "body",             then for each request: `at` in milliseconds since
//    "status", "answer", "saved", "flagged", "verdicts"}    the epoch, when the whole body had come
//
// `saved` and `flagged` are everything the handler has kept so far, by prediction id. `verdicts` says which
// verifiers accept the request; it is {} unless --validators names a module that exports `verdicts`.
// A request to a path with ?fail=once does not reach the handler the first time its webhook-id comes: it is
// answered 503, as by a receiver that is just being deployed.
// It ends with its standard input, so that it can't outlive whoever started it; --stay keeps it.
//
//   REPLICATE_WEBHOOK_SECRET=whsec_... node serve.mjs [--port N] [--validators FILE] [--stay]

import http from "node:http";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

import { flagged, POST, saved } from "./handler.mjs";

const { values: options } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    validators: { type: "string" },
    stay: { type: "boolean", default: false },
  },
});
const validators = options.validators ? await import(pathToFileURL(options.validators).href) : null;

const failed = new Set();

function failsNow(url, id) {
  if (url.searchParams.get("fail") !== "once" || failed.has(id)) {
    return false;
  }
  failed.add(id);
  return true;
}

let began = performance.timeOrigin;

// Date.now() has whole milliseconds, too coarse for a latency; the finer clock stands still in a suspended
// laptop and is then set anew.
function now() {
  if (Math.abs(began + performance.now() - Date.now()) > 2) {
    began = Date.now() - performance.now();
  }
  return began + performance.now();
}

function tell(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function route(incoming, body) {
  if (incoming.method !== "POST") {
    return Response.json({ error: "method not allowed" }, { status: 405 });
  }
  const url = new URL(incoming.url, "http://127.0.0.1");
  if (failsNow(url, incoming.headers["webhook-id"])) {
    return Response.json({ error: "not ready yet" }, { status: 503 });
  }
  try {
    return await POST(new Request(url, { method: "POST", headers: incoming.headers, body }));
  } catch (error) {
    // As Next.js does it: what a handler throws is a 500.
    console.error(error);
    return Response.json({ error: "internal server error" }, { status: 500 });
  }
}

async function judge(headers, body) {
  if (validators === null) {
    return {};
  }
  return await validators.verdicts({ headers, body, secret: process.env.REPLICATE_WEBHOOK_SECRET });
}

async function serve(incoming, outgoing) {
  const body = await text(incoming);
  const at = now();
  const response = await route(incoming, body);
  const answer = await response.json();
  tell({
    at,
    method: incoming.method,
    path: incoming.url,
    headers: incoming.headers,
    body,
    status: response.status,
    answer,
    saved: Object.fromEntries(saved),
    flagged: Object.fromEntries(flagged),
    verdicts: await judge(incoming.headers, body),
  });
  outgoing.writeHead(response.status, { "content-type": "application/json" });
  outgoing.end(JSON.stringify(answer));
}

const server = http.createServer((incoming, outgoing) => {
  serve(incoming, outgoing).catch((error) => {
    console.error(error); // the connection broke while its body came: nobody is there to answer
    outgoing.destroy();
  });
});
server.listen(Number(options.port), "127.0.0.1", () => tell({ port: server.address().port }));

if (!options.stay) {
  process.stdin.resume().on("end", () => process.exit(0));
}
