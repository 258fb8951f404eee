// The guide's way to start a prediction with a webhook (npm replicate). Only baseUrl is added, and the webhook
// is the test's own receiver.

import Replicate from "replicate";

const replicate = new Replicate({
  auth: process.env.REPLICATE_API_TOKEN,
  baseUrl: process.env.RINGBACK_BASE_URL,
});

const prediction = await replicate.predictions.create({
  version: "black-forest-labs/flux-schnell",
  input: { prompt: "A misty forest at dawn, photorealistic" },
  webhook: process.env.WEBHOOK,
  webhook_events_filter: ["completed"],
});

console.log(JSON.stringify({ predictionId: prediction.id, prediction }));
