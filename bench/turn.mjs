// Where the time of one message goes, without a browser: POST a message, read the event stream, and ask the stand-in model when it was
// asked and when it began to speak. What is left is the server's own.
//   KARTA_SERVER_BIN=… node bench/turn.mjs [--runs 100]     also part of ./build.sh bench
// TMPDIR=/dev/shm shows what is left without the disk; --gap 60 what a server that has gone to sleep between messages adds.
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { seed, startServer } from "../scripts/server.mjs";
import { startModel } from "../tests/e2e/harness/llm.mjs";

const ROOT = path.resolve(import.meta.dirname, "..");
const KNOWLEDGE = path.join(ROOT, "www/demo/knowledge");
const ORIGIN = "https://shop.example";
const QUESTIONS = ["How much does shipping to Ireland cost?", "Can I pause my subscription?", "How do I brew a V60?", "What are your opening hours?", "Can I return an opened bag?"];

/** One kept connection each for the stream and the posts, as a browser has them. */
function client(base) {
  const agent = new http.Agent({ keepAlive: true });
  const call = (method, url, { token, body } = {}) => new Promise((done, fail) => {
    const text = body && JSON.stringify(body);
    const request = http.request(`${base}/api/v1/widget${url}`, {
      method, agent, headers: { origin: ORIGIN, ...(token && { authorization: `Bearer ${token}` }), ...(text && { "content-type": "application/json", "content-length": Buffer.byteLength(text) }) },
    }, (response) => {
      let got = "";
      response.setEncoding("utf8").on("data", (piece) => { got += piece; }).on("end", () => (response.statusCode < 300 ? done(JSON.parse(got)) : fail(new Error(`${url}: ${response.statusCode} ${got}`))));
    });
    request.on("error", fail).end(text);
  });
  return { call, close: () => agent.destroy() };
}

/** Calls `onEvent(event, at)` for each event of the session's stream. */
function read(base, session, token, onEvent) {
  const request = http.get(`${base}/api/v1/widget/sessions/${session}/events/stream?after=0`, { agent: false, headers: { origin: ORIGIN, authorization: `Bearer ${token}` } }, (response) => {
    let rest = "";
    response.setEncoding("utf8").on("data", (piece) => {
      const at = performance.now();
      const blocks = (rest + piece).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const data = block.split("\n").find((line) => line.startsWith("data: "));
        if (data) onEvent(JSON.parse(data.slice(6)), at);
      }
    }).on("error", () => {});
  });
  request.on("error", () => {});
  return request;
}

/** Milliseconds since the message was sent, for each of `runs` messages: {acknowledged, echoed, asked, total, over: […]}. */
export async function measure(binary, runtime, runs, gapMs = 0) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "karta-bench-"));
  const model = await startModel();
  const env = { KARTA_LOG: "warn", KARTA_LIMITS: "off", OPENAI_BASE_URL: model.baseUrl, OPENAI_API_KEY: "sk-test", OPENAI_MODEL: "stand-in" };
  const server = await startServer(binary, { dataDir: dir, env });
  const { key } = await seed(binary, dir, { name: "Juniper", agentArgs: ["--runtime", runtime], origins: [ORIGIN], knowledge: fs.readdirSync(KNOWLEDGE).map((f) => path.join(KNOWLEDGE, f)) });
  const { call, close } = client(server.http);
  const { token } = await call("POST", "/auth/guest", { body: { client_key: key } });
  const { id: session } = await call("POST", "/sessions", { token });
  let seen = {};
  let idle = () => {};
  let synced;
  const ready = new Promise((done) => { synced = done; });
  const stream = read(server.http, session, token, (event, at) => {
    const name = event.delta ? "delta" : event.type;
    seen[name] ??= at;
    if (event.type === "session.synced") synced();
    if (event.type === "session.status_idle") idle();
  });
  await ready;
  const samples = { acknowledged: [], echoed: [], asked: [], total: [], over: [] };
  for (let i = 0; i < runs + 5; i += 1) {
    if (gapMs) await new Promise((done) => setTimeout(done, gapMs));
    seen = {};
    model.calls.length = 0;
    const ended = new Promise((done) => { idle = done; });
    const sent = performance.now();
    await call("POST", `/sessions/${session}/events`, { token, body: { type: "user.message", id: `m${i}`, text: QUESTIONS[i % QUESTIONS.length] } });
    const acknowledged = performance.now();
    await ended;
    if (i < 5) continue; // warm
    const [asked, spoke] = runtime === "openai" ? [model.calls[0].askedAt, model.calls[0].spokeAt] : [];
    samples.acknowledged.push(acknowledged - sent);
    samples.echoed.push(seen["user.message"] - sent);
    samples.total.push(seen.delta - sent);
    if (asked) {
      samples.asked.push(asked - sent);
      samples.over.push(seen.delta - sent - (spoke - asked));
    }
  }
  stream.destroy();
  close();
  const { code } = await server.stop();
  await model.close();
  fs.rmSync(dir, { recursive: true, force: true });
  if (code !== 0) throw new Error(`karta-server ended with ${code}:\n${server.log()}`);
  return samples;
}

if (process.argv[1] === import.meta.filename) {
  const { values: args } = parseArgs({ options: { runs: { type: "string", default: "100" }, gap: { type: "string", default: "0" } } });
  const at = (list, p) => [...list].sort((a, b) => a - b)[Math.floor((list.length - 1) * p)].toFixed(2).padStart(7);
  for (const runtime of ["builtin", "openai"]) {
    const samples = await measure(process.env.KARTA_SERVER_BIN, runtime, Number(args.runs), Number(args.gap));
    for (const [name, list] of Object.entries(samples)) if (list.length) console.log(`${runtime.padEnd(8)} ${name.padEnd(14)} p50 ${at(list, 0.5)}  p95 ${at(list, 0.95)}`);
  }
}
