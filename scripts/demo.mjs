// Serves the demo shop and karta-server side by side until a signal comes. With --watch: rebuilds and reloads on change.
//   node scripts/demo.mjs --server BINARY [--port 8080] [--api-port 8787] [--data .karta/demo] [--watch]
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { seed, startServer } from "./server.mjs";
import { serveFiles } from "./static.mjs";

const ROOT = path.resolve(import.meta.dirname, "..");
const SHOP = path.join(ROOT, "www/demo");

let options;
try {
  options = parseArgs({ options: {
    server: { type: "string" }, watch: { type: "boolean", default: false },
    port: { type: "string", default: "8080" }, "api-port": { type: "string", default: "8787" }, data: { type: "string", default: path.join(ROOT, ".karta/demo") },
  } }).values;
  for (const name of ["port", "api-port"]) {
    if (!/^\d{1,5}$/.test(options[name]) || Number(options[name]) > 65535) throw new Error(`--${name} wants a port number, not "${options[name]}"`);
  }
} catch (error) {
  fail(error.message);
}

const DATA = path.resolve(options.data);

let api; // the running karta-server
/** Ends the latest karta-server, also while it starts and there is no `api` yet. */
let stopApi;
let shop;
let stopping = false;
// With --watch: the open pages, and how often they were told to reload. A page says after which reload it was made, so that none
// is lost on a page that is still loading.
const readers = new Set();
let version = 0;
const RELOAD = "data: reload\n\n";

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => stop(0));

try {
  api = await startApi();
  const key = await demoKey(Number(options.port));
  shop = await serveFiles(SHOP, {
    port: Number(options.port), values: () => ({ host: api.http, key }),
    rewrite: (html) => (options.watch ? fresh(html) : html),
    handle: options.watch ? reloadStream : undefined,
  });
  // "ready" is a promise: ask both before giving it.
  for (const url of [`${shop.origin}/`, `${api.http}/widget/v1/karta.js`]) {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`${url} answers ${answer.status}`);
  }
  if (options.watch) watch();
  console.log(`demo shop     ${shop.origin}`);
  console.log(`karta-server  ${api.http}`);
  console.log("ready");
} catch (error) {
  if (!stopping) {
    const taken = error.code === "EADDRINUSE" ? "port" : /address already in use/i.test(error.message) && "api-port";
    if (taken) error.message = `port ${options[taken]} is taken; choose another with --${taken}`;
    console.error(`demo: ${error.message}`);
    await stop(1);
  }
}

function fail(message) {
  console.error(`demo: ${message}`);
  process.exit(2);
}

async function startApi() {
  // A signal came while the one before it ended: there must be none that nobody stops.
  if (stopping) throw new Error("the demo ends");
  fs.mkdirSync(DATA, { recursive: true });
  const started = await startServer(options.server, {
    // On all of the machine's addresses: Firefox makes no WebRTC connection to a loopback address, so there would be no calls in it.
    dataDir: DATA, listen: `127.0.0.1:${options["api-port"]}`, udpListen: "0.0.0.0:0", env: { KARTA_LOG: process.env.KARTA_LOG ?? "warn" }, onLog: (text) => process.stderr.write(text),
    onStart: (stop) => { stopApi = stop; },
  });
  started.exited.then(({ code, signal }) => {
    if (stopping || api !== started) return;
    console.error(`demo: karta-server ended by itself (${signal ?? code})`);
    stop(1);
  });
  return started;
}

/** The demo's agent and a key for this port, made by the same command line that an owner uses; kept for the next start. */
async function demoKey(port) {
  const file = path.join(DATA, "demo.json");
  const known = fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, "utf8")) : { keys: {} };
  if (!known.keys[port]) {
    console.error(`Seeding the demo: an agent, its knowledge, a key for http://127.0.0.1:${port}`);
    const documents = fs.readdirSync(path.join(SHOP, "knowledge")).sort().map((name) => path.join(SHOP, "knowledge", name));
    const made = await seed(options.server, DATA, {
      name: "Juniper", agentId: known.agent, knowledge: documents,
      agentArgs: [
        "--voice", "auto", "--greeting", "Hi! I’m Juniper. Ask me about our coffees, brewing, delivery or your subscription.",
        "--prompt", "What does shipping cost?", "--prompt", "How do I brew a V60?", "--prompt", "Can I pause my subscription?",
        "--instruction", "You are Juniper, the friendly assistant of Juniper Lane Coffee Roasters. Answer briefly, from the shop's documents.",
      ],
      origins: [`http://127.0.0.1:${port}`, `http://localhost:${port}`],
    });
    known.agent = made.agent;
    known.keys[port] = made.key;
    fs.writeFileSync(file, JSON.stringify(known, null, 2));
  }
  return known.keys[port];
}

async function stop(code) {
  if (stopping) return;
  stopping = true;
  await Promise.all([shop?.close(), stopApi?.()]);
  process.exit(code);
}

// ---- --watch ----------------------------------------------------------------------------------------------------------

/** A page that reloads itself, with a loader that comes from no cache: a reload asks the server again for the page only. */
function fresh(html) {
  const reloader = `<script>new EventSource("/.reload?${version}").onmessage = () => location.reload()</script>`;
  return html.replace("</body>", `${reloader}</body>`).replace(/(karta\.js)(?=")/, `$1?${Date.now()}`);
}

function reloadStream(request, response) {
  const [address, seen] = request.url.split("?");
  if (address !== "/.reload") return false;
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  response.write(Number(seen) < version ? RELOAD : ": hello\n\n");
  readers.add(response);
  request.on("close", () => readers.delete(response));
  return true;
}

function watch() {
  const changed = new Set();
  let busy = false;
  let timer;
  const work = async () => {
    if (busy || !changed.size) return;
    busy = true;
    const dirs = new Set(changed);
    changed.clear();
    try {
      await rebuild((...names) => names.some((name) => dirs.has(name)));
    } catch (error) {
      if (!stopping) console.error(`demo: ${error.message}`);
    }
    busy = false;
    work();
  };
  for (const dir of ["src", "protocol/src", "server/src", "www"]) {
    fs.watch(path.join(ROOT, dir), { recursive: true }, (_, name) => {
      if (!name || /~$|\.sw.$|^\.|\/\./.test(name)) return;
      changed.add(dir === "www" && /^(karta|headless)\.js$/.test(name) ? "www/karta.js" : dir.split("/")[0]);
      // Editors write a file in several steps; one build for all of them.
      clearTimeout(timer);
      timer = setTimeout(work, 150);
    });
  }
}

/** `has(…)`: something below one of these has changed. What does not build leaves everything as it was. */
async function rebuild(has) {
  if (has("src", "protocol", "www/karta.js") && !(await build("widget"))) return;
  if (has("server", "protocol")) {
    if (!(await build("server"))) return;
    const old = api;
    api = undefined;
    await old?.stop();
    api = await startApi();
  }
  version += 1;
  for (const reader of readers) reader.write(RELOAD);
}

function build(what) {
  return new Promise((done) => {
    const child = spawn(path.join(ROOT, "build.sh"), [what, "--dev"], { stdio: ["ignore", "ignore", "inherit"] });
    child.once("exit", (code) => done(code === 0));
  });
}
