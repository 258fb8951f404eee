// Enqueues what stands on standard input, a line each, at once.
import { createInterface } from 'node:readline';
import { Queue } from 'bullmq';

const queue = new Queue('hooks', { connection: { host: '127.0.0.1', port: Number(process.env.REDIS_PORT) } });
const options = { attempts: 13, backoff: { type: 'exponential', delay: 5000, jitter: 0.2 }, removeOnComplete: true };
await queue.waitUntilReady();
console.log('ready');
const added = [];
for await (const line of createInterface({ input: process.stdin })) {
  const job = JSON.parse(line);
  job.body.output = (performance.timeOrigin + performance.now()) / 1000;
  added.push(queue.add('deliver', job, { ...options, jobId: job.id }));
}
await Promise.all(added);
await queue.close();
