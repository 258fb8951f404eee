// BullMQ with Redis and undici: a worker that signs and POSTs; its queue retries with exponential backoff.
import { createHmac } from 'node:crypto';
import { Worker } from 'bullmq';
import { Agent, request } from 'undici';

const TIMEOUT = 15_000;
const key = Buffer.from(process.env.BENCH_SECRET.slice('whsec_'.length), 'base64');
const dispatcher = new Agent({
  connect: { timeout: 5000 }, headersTimeout: TIMEOUT, bodyTimeout: TIMEOUT, connections: 64,
});

const deliver = async ({ data: { url, id, body } }) => {
  const text = JSON.stringify(body);
  const timestamp = String(Math.floor(Date.now() / 1000));
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${text}`).digest('base64');
  const answer = await request(url, {
    method: 'POST', body: text, dispatcher,
    headers: {
      'content-type': 'application/json', 'webhook-id': id, 'webhook-timestamp': timestamp,
      'webhook-signature': `v1,${signature}`,
    },
  });
  await answer.body.dump();
  if (answer.statusCode < 200 || answer.statusCode > 299) throw new Error(`status ${answer.statusCode}`);
};

const connection = { host: '127.0.0.1', port: Number(process.env.REDIS_PORT), maxRetriesPerRequest: null };
const worker = new Worker('hooks', deliver, { connection, concurrency: 64 });
worker.on('error', (error) => console.error(error.message));
await worker.waitUntilReady();
console.log('ready');
