// What every case of tests/e2e stands on: the real server, the real bundle, a real browser, a customer's page on another origin.
// A case is a folder with the pages as a customer pastes them, and test.mjs. There are no sleeps: wait with `until`.
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";
import { cli, seed, seedAgent, startServer } from "../../scripts/server.mjs";
import { PASTED_HOST, PASTED_KEY, serveFiles } from "../../scripts/static.mjs";
import { startCoturn } from "./harness/coturn.mjs";
import { firefox } from "./harness/firefox.mjs";
import { startModel } from "./harness/llm.mjs";
import { bundleModules } from "./harness/modules.mjs";
import { startOpenAi } from "./harness/openai.mjs";
import { startBot } from "./harness/pipecat.mjs";
import { openTab } from "./harness/tab.mjs";
import { until } from "./harness/until.mjs";

export { assert, until };

const ROOT = path.resolve(import.meta.dirname, "../..");
const KNOWLEDGE = path.join(ROOT, "www/demo/knowledge");
export const SERVER = process.env.KARTA_SERVER_BIN ?? path.join(process.env.CARGO_TARGET_DIR ?? path.join(ROOT, "target"), "debug/karta-server");

/** All tests, in the order in which their files register them. */
export const tests = [];
let folder = "";
export const inFolder = (name) => { folder = name; };

/**
 * test(name, options?, run)   options: root (folder to serve; default the case's own), model (true: agent on the stand-in model; or one that runs elsewhere, by its `baseUrl`), long (only with --long),
 * headers(url) (of the customer's pages), rewrite(html, url) (a customer's page with a mistake in it), origins(site) (the key's allowlist; default the site's), greeting, network (true: failed requests are expected),
 * modules (scripts of the customer's own, bundled with the npm package: `app.tsx` is there as `/app.js`), engine (`pipecat` or `openai`: the agent is talked to by it), context (Playwright's options), timeoutMs, turn ({secret, transports?, serverSecret?}: a real coturn, and a server that knows its secret or believes in another),
 * waits (true: it takes long and does little, so it runs beside the others),
 * browser (launchBrowser's options: the test gets a browser of its own), firefox (true: its pages are Firefox's, see harness/firefox.mjs).
 */
export function test(name, options, run) {
  if (typeof options === "function") [options, run] = [{}, options];
  tests.push({ name: `${path.basename(folder)}: ${name}`, folder, options, run });
}

/**
 * `microphone`: a recording that is heard once in place of Chromium's own beeps; `device` false: a machine without any; `keepsPages`: with the back-forward cache,
 * which Playwright switches off and the headless shell has not: that takes the whole browser, which comes with its driver.
 */
export async function launchBrowser({ microphone, device = true, keepsPages = false, flags = [] } = {}) {
  const shells = ["chromium-headless-shell", "chrome-headless-shell"];
  const whole = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
  const find = (names) => names.flatMap((n) => process.env.PATH.split(":").map((dir) => path.join(dir, n))).find((file) => fs.existsSync(file));
  const found = (keepsPages ? find(whole) : undefined) ?? process.env.CHROMIUM ?? find([...shells, ...whole]);
  if (!found) throw new Error("no Chromium: install it, or set CHROMIUM");
  return chromium.launch({
    executablePath: found,
    ignoreDefaultArgs: keepsPages ? ["--disable-back-forward-cache"] : [],
    args: [
      ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
      "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
      "--disable-dev-shm-usage", "--autoplay-policy=no-user-gesture-required", "--use-fake-ui-for-media-stream",
      ...(device ? ["--use-fake-device-for-media-stream"] : []),
      ...(microphone ? [`--use-file-for-fake-audio-capture=${microphone}%noloop`] : []), ...flags,
    ],
  });
}

/**
 * {data, agentId}: a data folder with this agent and its documents, to be copied by each test that starts from it. Made once, on the command line:
 * for each test anew, that would be a twelfth of the time of all.
 */
async function owned(agentArgs, knowledge) {
  const wanted = JSON.stringify([agentArgs, knowledge]);
  if (!owners.has(wanted)) owners.set(wanted, (async () => {
    const data = fs.mkdtempSync(path.join(ownersDir(), "data-"));
    return { data, agentId: await seedAgent(SERVER, data, { name: "Juniper", agentArgs, knowledge }) };
  })());
  return owners.get(wanted);
}
const owners = new Map();
let ownersIn;
function ownersDir() {
  if (!ownersIn) {
    ownersIn = fs.mkdtempSync(path.join(os.tmpdir(), "karta-e2e-owners-"));
    process.once("exit", () => fs.rmSync(ownersIn, { recursive: true, force: true }));
  }
  return ownersIn;
}

/** Everything one test needs; `close` ends it all. */
export async function makeWorld(shared, { folder, options }) {
  const own = options.browser && await launchBrowser(options.browser);
  const browser = options.firefox ? await firefox(shared) : own ?? shared;
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "karta-e2e-"));
  const model = options.model === true ? await startModel() : options.model;
  const turn = options.turn && await startCoturn(options.turn);
  const engine = options.engine && (options.engine === "pipecat" ? await startBot(dir) : await startOpenAi(browser));
  const env = {
    KARTA_LOG: process.env.KARTA_LOG ?? "info",
    ...(turn && {
      KARTA_ICE_SERVERS: (options.turn.transports ?? ["udp"]).map(turn.url).join(","), KARTA_TURN_SECRET: options.turn.serverSecret ?? options.turn.secret,
    }),
    ...(model && { OPENAI_BASE_URL: model.baseUrl, OPENAI_API_KEY: "sk-test", OPENAI_MODEL: "stand-in" }), ...engine?.env, ...options.env,
  };
  let running;
  let down;
  let seeded = { key: "pk_live_not_yet_seeded" };
  const modules = options.modules ? await bundleModules(folder, options.modules) : {};
  const serveModule = (request, response) => {
    const address = new URL(request.url, "http://localhost");
    if (!(address.pathname in modules)) return false;
    const text = modules[address.pathname].replaceAll(PASTED_HOST, (running ?? down).http).replaceAll(PASTED_KEY, seeded.key);
    response.writeHead(200, { "content-type": "text/javascript; charset=utf-8", "cache-control": "no-store", ...options.headers?.(address) });
    response.end(text);
    return true;
  };
  const site = await serveFiles(options.root ? path.join(ROOT, options.root) : folder, {
    values: () => ({ host: (running ?? down).http, key: seeded.key }), headers: options.headers, rewrite: options.rewrite, handle: serveModule,
  });
  const agentArgs = ["--runtime", options.model ? "openai" : "builtin", "--greeting", options.greeting ?? "Hello! Ask me anything.", ...(engine ? ["--voice", options.engine === "pipecat" ? "pipecat" : "openai-realtime"] : []), ...(options.agentArgs ?? [])];
  const { data, agentId } = await owned(agentArgs, options.model ? [] : fs.readdirSync(KNOWLEDGE).map((f) => path.join(KNOWLEDGE, f)));
  fs.cpSync(data, dir, { recursive: true });
  // On this machine's own address for Firefox, which pairs no loopback address: so it needs no other setting than a visitor's.
  running = await startServer(SERVER, { dataDir: dir, env, ...(options.firefox && { udpListen: "0.0.0.0:0" }) });
  seeded = await seed(SERVER, dir, { name: "Juniper", agentId, origins: options.origins ? options.origins(site.origin) : [site.origin] });

  const contexts = [];
  const tabs = [];
  const logs = [];
  const server = {
    get http() { return (running ?? down).http; },
    get udp() { return (running ?? down).udp; },
    log: () => [...logs, running?.log() ?? ""].join(""),
    cli: (...args) => cli(SERVER, dir, ...args),
    /** kill -9: no farewell. */
    async kill() {
      down = running;
      running = undefined;
      await down.stop("SIGKILL");
      logs.push(down.log());
    },
    /** As an init system stops it. */
    async stop() {
      down = running;
      running = undefined;
      const { code } = await down.stop("SIGTERM");
      assert.equal(code, 0, "SIGTERM ends the server with exit code 0");
      logs.push(down.log());
    },
    /** Again, on the same ports and data. */
    async start() {
      running = await startServer(SERVER, { dataDir: dir, env, listen: new URL(down.http).host, udpListen: down.udp });
    },
  };
  /** A new visitor: a browser profile of their own. */
  const visitor = async (contextOptions = {}) => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: "reduce", ...options.context, ...contextOptions });
    contexts.push(context);
    return {
      context,
      async tab(tabOptions) {
        const tab = await openTab(context, site.origin, tabOptions);
        tabs.push(tab);
        return tab;
      },
    };
  };
  return {
    server, site, model, turn, engine, key: seeded.key, agent: seeded.agent, tabs,
    visitor,
    tab: async (tabOptions) => (await visitor()).tab(tabOptions),
    /** The page must look to its owner as if nothing had happened. */
    checkComplaints() {
      for (const tab of tabs) {
        // The browser itself reports each failed request; where a test takes the server away, those are expected.
        if (options.network) tab.forgive(/^console\.error: Failed to load resource: net::ERR_|ERR_(CONNECTION|INCOMPLETE|EMPTY|NETWORK)|CORS request did not succeed/);
        assert.deepEqual(tab.unforgiven(), [], "the page's console is clean");
      }
    },
    async close() {
      for (const context of contexts) await context.close();
      await own?.close();
      await Promise.all([running?.stop("SIGKILL"), site.close(), model?.close(), turn?.stop(), engine?.close()]);
      fs.rmSync(dir, { recursive: true, force: true });
    },
  };
}
