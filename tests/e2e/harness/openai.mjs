// A stand-in for OpenAI's Realtime API: `POST /v1/realtime/calls`, with offer and session in one form or with the offer alone, `…/hangup`, and at the other
// end of the connection a page of Chromium (openai_page.mjs) that sends the server events of the vendor's types (GA names) in the vendor's order. That it
// is like the vendor's is judged by the vendor's own: the types of its Python package, and its JavaScript client, which can call it, too.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { standIn } from "./openai_page.mjs";
import { PYTHON } from "./pipecat.mjs";

const ROOT = path.resolve(import.meta.dirname, "../../..");
/** `@openai/agents-realtime`, as engine/package-lock.json has it. */
const CLIENT = path.join(process.env.KARTA_OPENAI_CLIENT ?? path.join(process.env.KARTA_TOOLS ?? path.join(ROOT, "target/tools"), "openai-client"), "node_modules/@openai/agents-realtime/dist");

export async function startOpenAi(browser) {
  const calls = [];
  let words = "what are your opening hours";
  let answer = "We are open from nine to five.";
  // A hang-up may come when the test is over already.
  const server = http.createServer((request, response) => serve(request, response).catch(() => response.destroy()));
  const serve = async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    if (["/", "/client"].includes(request.url)) return response.writeHead(200, { "content-type": "text/html" }).end("<title>stand-in</title>");
    const script = /^\/client\/([\w-]+\.mjs)$/.exec(request.url);
    if (script) return response.writeHead(200, { "content-type": "text/javascript" }).end(fs.readFileSync(path.join(CLIENT, "bundle", script[1])));
    const refuse = (status, message) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ error: { message, type: "invalid_request_error" } }));
    if (request.headers.authorization !== "Bearer sk-realtime") return refuse(401, "Incorrect API key provided");
    const hangup = /^\/v1\/realtime\/calls\/(rtc_\w+)\/hangup$/.exec(request.url);
    const known = hangup && calls.find((call) => call.id === hangup[1]);
    if (known) {
      known.ended = true;
      await page.evaluate((id) => window.standIn.end(id), known.id);
      return response.writeHead(200).end();
    }
    if (request.method !== "POST" || request.url !== "/v1/realtime/calls") return refuse(404, "not found");
    const kind = request.headers["content-type"];
    const parts = kind === "application/sdp" ? { sdp: body, session: "{}" } : form(kind, body);
    const call = { id: `rtc_${calls.length + 1}`, session: JSON.parse(parts.session), offer: parts.sdp };
    calls.push(call);
    const sdp = await page.evaluate((given) => window.standIn.answer(given), { ...call, words, answer });
    response.writeHead(201, { "content-type": "application/sdp", location: `/v1/realtime/calls/${call.id}` }).end(sdp);
  };
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const url = `http://127.0.0.1:${server.address().port}`;
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(url);
  await page.evaluate(standIn);
  return {
    calls,
    env: { OPENAI_REALTIME_BASE_URL: `${url}/v1`, OPENAI_REALTIME_API_KEY: "sk-realtime", OPENAI_REALTIME_MODEL: "gpt-realtime" },
    /** What the next visitor is understood to say, and what is answered. */
    async script(said, answered) {
      [words, answer] = [said, answered];
      await page.evaluate(([w, a]) => window.standIn.script(w, a), [words, answer]);
    },
    wire: (id) => page.evaluate((name) => window.standIn.wire(name), id),
    /** Holds the session and every event of a call to what the vendor has published; gives what came from the client. */
    async judged(id) {
      const call = calls.find((one) => one.id === id);
      const { heard, sent } = await this.wire(id);
      const server = sent.map(({ event }) => event);
      assert.ok(server.length > 5, `${server.length} server events`);
      const said = await types({ session: call.session, client: heard, server });
      assert.equal(said, `${1 + heard.length + server.length} looked at, 0 wrong`);
      const { parseRealtimeEvent, realtimeClientEventSchema } = await client("openaiRealtimeEvents.mjs");
      for (const event of server) {
        const { isGeneric } = parseRealtimeEvent({ data: JSON.stringify(event) });
        assert.equal(isGeneric, false, `the official client's reader on ${JSON.stringify(event)}`);
      }
      // The package sends this one, but its schemas leave it out.
      for (const event of heard.filter((one) => one.type !== "output_audio_buffer.clear")) realtimeClientEventSchema.parse(event);
      return heard;
    },
    /** A page with the official client in it, which calls the stand-in as it would the vendor. */
    async client() {
      const tab = await context.newPage();
      await tab.goto(`${url}/client`);
      await tab.evaluate(officialClient, `${url}/v1/realtime/calls`);
      return tab;
    },
    /** The engine is gone, without a word. */
    async vanish(id) { await page.evaluate((name) => window.standIn.end(name), id); },
    async close() {
      await context.close();
      await new Promise((done) => { server.close(done); server.closeAllConnections(); });
    },
  };
}

const client = (file) => import(pathToFileURL(path.join(CLIENT, file)));

async function types(given) {
  const child = spawn(PYTHON, [path.resolve(import.meta.dirname, "../engine/openai_types.py")], { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.end(JSON.stringify(given));
  let said = "";
  for await (const piece of child.stdout) said += piece;
  return said.trim();
}

/** Runs in a page. */
async function officialClient(url) {
  const { OpenAIRealtimeWebRTC, RealtimeAgent, RealtimeSession } = await import("/client/openai-realtime-agents.mjs");
  const audio = new AudioContext();
  const line = audio.createMediaStreamDestination();
  const transport = new OpenAIRealtimeWebRTC({ baseUrl: url, useInsecureApiKey: true, mediaStream: line.stream });
  const session = new RealtimeSession(new RealtimeAgent({ name: "Ada", instructions: "Be brief." }), { transport, model: "gpt-realtime", tracingDisabled: true });
  const seen = { errors: [], interrupted: 0, history: [], written: 0, audible: 0 };
  transport.on("*", ({ type }) => {
    if (type === "response.done") seen.written += 1;
    if (type === "output_audio_buffer.started") seen.audible += 1;
  });
  session.on("error", (error) => seen.errors.push(JSON.stringify(error)));
  session.on("audio_interrupted", () => { seen.interrupted += 1; });
  session.on("history_updated", (history) => { seen.history = history; });
  await session.connect({ apiKey: "sk-realtime", url });
  window.official = {
    session, seen,
    /** So loud is a voice. */
    async speak(ms) {
      const voice = audio.createOscillator();
      voice.connect(line);
      voice.start();
      await new Promise((done) => setTimeout(done, ms));
      voice.stop();
    },
  };
}

function form(kind, body) {
  const boundary = /boundary=(.+)$/.exec(kind)[1];
  const parts = {};
  for (const part of body.split(`--${boundary}`)) {
    const name = /name="(\w+)"/.exec(part)?.[1];
    if (name) parts[name] = part.slice(part.indexOf("\r\n\r\n") + 4, -2);
  }
  return parts;
}
