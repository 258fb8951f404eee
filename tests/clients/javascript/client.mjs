// npm replicate, asked line by line: each line of standard input is a JSON object {"do": name, ...}, and is answered
// with {"answer": ...} or {"error": {name, message, status}}. What JSON can't say is written {"$blob": base64, "type"},
// {"$file": base64, "name", "type"}, {"$buffer": base64}, and read back as {"$file_output": base64, "url", "type"}.

import { createInterface } from "node:readline";

import Replicate, { validateWebhook } from "replicate";

const requests = [];

// What a proxy that ends TLS in front of the server does.
function proxied(url, init) {
  return fetch(String(url).replace(process.env.RINGBACK_PUBLIC_URL, process.env.RINGBACK_URL), init);
}

async function counted(url, init) {
  const response = await (process.env.RINGBACK_PUBLIC_URL ? proxied : fetch)(url, init);
  requests.push({
    method: init?.method ?? "GET",
    path: new URL(url).pathname,
    status: response.status,
    authorized: "Authorization" in (init?.headers ?? {}),
  });
  return response;
}

function client(options = {}) {
  return new Replicate({
    auth: process.env.REPLICATE_API_TOKEN,
    baseUrl: process.env.RINGBACK_BASE_URL,
    fetch: counted,
    ...options,
  });
}

function bytes(base64) {
  return Buffer.from(base64, "base64");
}

function revived(value) {
  if (Array.isArray(value)) {
    return value.map(revived);
  }
  if (value === null || typeof value !== "object") {
    return value;
  }
  if ("$blob" in value) {
    return new Blob([bytes(value.$blob)], { type: value.type });
  }
  if ("$file" in value) {
    return new File([bytes(value.$file)], value.name, { type: value.type });
  }
  if ("$buffer" in value) {
    return bytes(value.$buffer);
  }
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, revived(item)]));
}

async function shown(value) {
  if (value instanceof ReadableStream) {
    const url = value.url().href;
    const blob = await value.blob();
    return { $file_output: Buffer.from(await blob.arrayBuffer()).toString("base64"), url, type: blob.type };
  }
  if (Array.isArray(value)) {
    return Promise.all(value.map(shown));
  }
  if (value !== null && typeof value === "object") {
    const entries = Object.entries(value).map(async ([name, item]) => [name, await shown(item)]);
    return Object.fromEntries(await Promise.all(entries));
  }
  return value ?? null;
}

function found(replicate, path) {
  const names = path.split(".");
  const last = names.pop();
  const owner = names.reduce((at, name) => at[name], replicate);
  return owner[last].bind(owner);
}

async function collected(events) {
  const heard = [];
  for await (const { event, data, id } of events) {
    heard.push({ event, data: await shown(data), id });
  }
  return heard;
}

const answers = {
  call({ path, args = [], options }) {
    return found(client(options), path)(...revived(args));
  },

  async run({ ref, given, options }) {
    const told = [];
    const output = await client(options).run(ref, revived(given), ({ id, status }) => told.push({ id, status }));
    return { output: await shown(output), told };
  },

  // The signal comes while the prediction runs.
  async aborted({ ref, given, at }) {
    const controller = new AbortController();
    const told = [];
    const output = await client().run(ref, { ...given, signal: controller.signal }, ({ id, status }) => {
      told.push({ id, status });
      if (status === at) {
        controller.abort();
      }
    });
    return { output: await shown(output), told };
  },

  stream({ ref, given, options }) {
    return collected(client(options).stream(ref, revived(given)));
  },

  async pages({ path, most = 100 }) {
    const replicate = client();
    const seen = [];
    for await (const page of replicate.paginate(found(replicate, path))) {
      seen.push(page);
      if (seen.length === most) {
        break;
      }
    }
    return seen;
  },

  wait({ prediction, interval }) {
    return client().wait(prediction, { interval });
  },

  async validated({ headers, body, secret }) {
    const [id, timestamp, signature] = ["id", "timestamp", "signature"].map((name) => headers[`webhook-${name}`]);
    const request = () => new Request("http://localhost/", { method: "POST", headers, body });
    return {
      fields: await validateWebhook({ id, timestamp, signature, body, secret }),
      request: await validateWebhook(request(), secret),
      headers: await validateWebhook({ headers, body }, secret),
      bytes: await validateWebhook({ headers, body: new TextEncoder().encode(body) }, secret),
      parsed: await validateWebhook({ headers, body: JSON.parse(body) }, secret),
    };
  },

  // What the last thing that was asked sent.
  requests() {
    return requests;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  if (asked.do !== "requests") {
    requests.length = 0;
  }
  let reply;
  try {
    reply = { answer: (await answers[asked.do](asked)) ?? null };
  } catch (error) {
    const { name, message, response } = error;
    reply = { error: { name, message, status: response?.status ?? null } };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
