// Which of the verifiers that people use accept a webhook: {name: true | false}.

import replicate from "replicate";
import * as standardwebhooks from "standardwebhooks";
import * as svix from "svix";

import { POST } from "../../demo/receiver/handler.mjs";

const names = ["webhook-id", "webhook-timestamp", "webhook-signature"];

function pick(headers) {
  return Object.fromEntries(names.filter((name) => name in headers).map((name) => [name, headers[name]]));
}

function parsed(body) {
  try {
    return JSON.parse(body);
  } catch {
    return null; // an altered body need not be JSON
  }
}

const checks = {
  // The guide's own handler, with the request as Next.js hands it over.
  async page({ headers, body, secret }) {
    process.env.REPLICATE_WEBHOOK_SECRET = secret;
    const response = await POST(new Request("http://localhost/", { method: "POST", headers, body }));
    return response.status === 200;
  },
  async replicate({ headers, body, secret }) {
    return await replicate.validateWebhook({ headers: new Headers(headers), body }, secret);
  },
  // Under a framework that parsed the body already: the client writes it back with JSON.stringify.
  async replicate_parsed({ headers, body, secret }) {
    return await replicate.validateWebhook({ headers, body: parsed(body) }, secret);
  },
  async standardwebhooks({ headers, body, secret }) {
    new standardwebhooks.Webhook(secret).verify(body, headers);
    return true;
  },
  async svix({ headers, body, secret }) {
    new svix.Webhook(secret).verify(body, headers);
    return true;
  },
};

export async function verdicts({ headers, body, secret }) {
  const request = { headers: pick(headers), body, secret };
  const results = {};
  for (const [name, check] of Object.entries(checks)) {
    results[name] = await check(request).catch(() => false);
  }
  return results;
}
