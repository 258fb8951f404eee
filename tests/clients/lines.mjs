// Answers each line of standard input, a JSON object {"do": name, ...}, with one line of JSON; ends with it.

import { createInterface } from "node:readline";

import { verdicts } from "./validators.mjs";

const answers = {
  rewrite: ({ text }) => JSON.stringify(JSON.parse(text)),
  well_formed: ({ text }) => text.toWellFormed(),
  verdicts,
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  let reply;
  try {
    reply = { answer: await answers[request.do](request) };
  } catch (error) {
    reply = { error: String(error) };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
