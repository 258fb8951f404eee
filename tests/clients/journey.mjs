// The rest of what the guide does with the client: the secret, the prediction afterwards, an error.

import Replicate, { validateWebhook } from "replicate";

const replicate = new Replicate({
  auth: process.env.REPLICATE_API_TOKEN,
  baseUrl: process.env.RINGBACK_BASE_URL,
});

const { key } = await replicate.webhooks.default.secret.get();
const created = await replicate.predictions.create({
  version: "ringback/words",
  input: { prompt: "the sea", words: 4, pause: 0.01 },
});
const ended = await replicate.wait(created, { interval: 50 });
const listed = await replicate.predictions.list();
const refused = await replicate.predictions
  .create({ version: "no/such-model", input: {} })
  .catch((error) => ({ name: error.name, status: error.response?.status, message: error.message }));

console.log(JSON.stringify({ key, created, ended, listed, refused, validates: typeof validateWebhook }));
