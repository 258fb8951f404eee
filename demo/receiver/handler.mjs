// The receiver of the guide "Replicate Webhooks: Async Notifications for Slow Models", a Next.js route handler
// (app/webhooks/replicate/route.js). It is kept as that page has it: the secret's whole text is the HMAC key,
// and the signature is accepted if the header contains the digest. Only the two stores are filled in here.
// In new code, use the replicate client's validateWebhook: it decodes the key and compares whole entries.

import crypto from "node:crypto";

export const saved = new Map();
export const flagged = new Map();

async function saveOutput(id, output) {
  saved.set(id, output);
}

async function flagError(id, error) {
  flagged.set(id, error);
}

export async function POST(req) {
  const signature = req.headers.get("webhook-signature");
  const timestamp = req.headers.get("webhook-timestamp");
  const id = req.headers.get("webhook-id");
  const body = await req.text();

  const expected = crypto
    .createHmac("sha256", process.env.REPLICATE_WEBHOOK_SECRET)
    .update(`${id}.${timestamp}.${body}`)
    .digest("base64");

  if (!signature.includes(expected)) {
    return Response.json({ error: "invalid signature" }, { status: 401 });
  }

  const prediction = JSON.parse(body);

  if (prediction.status === "succeeded") {
    await saveOutput(prediction.id, prediction.output);
  } else {
    await flagError(prediction.id, prediction.error);
  }

  return Response.json({ ok: true });
}
