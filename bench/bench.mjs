// What `./build.sh bench` prints: bytes against the budgets, and times on a page of another origin, on this machine.
//   node bench/bench.mjs [--runs 9]
// Exit code 1 when a size budget is broken. Times are published, not enforced: they depend on the machine.
import { parseArgs } from "node:util";
import { launchBrowser, makeWorld, SERVER, until } from "../tests/e2e/harness.mjs";
import { startModelAside } from "./model.mjs";
import { sizes, table } from "./sizes.mjs";
import { measure } from "./turn.mjs";

const { values: args } = parseArgs({ options: { runs: { type: "string", default: "9" } } });
const RUNS = Number(args.runs);
// Chrome's own "Slow 4G".
const SLOW_4G = { offline: false, latency: 150, downloadThroughput: 1.6e6 / 8, uploadThroughput: 750e3 / 8 };

/** Runs in the page from its first moment: notes when the launcher, the panel and the agent's text are there, and every long task. */
function stopwatch() {
  const marks = { longTasks: [] };
  Object.defineProperty(window, "bench", { value: marks });
  new PerformanceObserver((list) => { for (const task of list.getEntries()) marks.longTasks.push([task.startTime, task.duration]); }).observe({ type: "longtask", buffered: true });
  const shown = (element) => element && element.getBoundingClientRect().width > 0 && getComputedStyle(element).visibility !== "hidden" && getComputedStyle(element).display !== "none";
  const part = (name) => document.querySelector("karta-root")?.shadowRoot?.querySelector(`[part~="${name}"]`);
  const frame = () => {
    const now = performance.now();
    if (!marks.launcher && shown(part("launcher"))) marks.launcher = now;
    if (marks.click && !marks.panel && shown(part("panel"))) marks.panel = now;
    if (marks.enter && !marks.token) {
      const agent = [...(part("messages")?.querySelectorAll('[data-role="agent"]') ?? [])].at(-1);
      if (agent?.textContent.includes(marks.expected)) marks.token = now;
    }
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  // The click itself, which other widgets are measured from, too: between the press and the release is the driver's own time.
  addEventListener("click", (e) => { marks.click ??= e.timeStamp; }, { capture: true });
  addEventListener("keydown", (e) => { if (e.key === "Enter") { marks.enter = e.timeStamp; marks.token = undefined; marks.came = undefined; } }, { capture: true });
  const send = RTCDataChannel.prototype.send;
  RTCDataChannel.prototype.send = function (data) {
    if (String(data).includes("user.message")) marks.left = performance.now();
    return send.call(this, data);
  };
  const create = RTCPeerConnection.prototype.createDataChannel;
  RTCPeerConnection.prototype.createDataChannel = function (...a) {
    const channel = create.apply(this, a);
    channel.addEventListener("open", () => { marks.channel ??= performance.now(); });
    channel.addEventListener("message", (e) => { if (!marks.came && String(e.data).includes('"delta":true')) marks.came = performance.now(); });
    return channel;
  };
}

async function open(world, { cpu = 1, network } = {}) {
  const tab = await world.tab({ before: stopwatch });
  const session = await tab.page.context().newCDPSession(tab.page);
  await session.send("Emulation.setCPUThrottlingRate", { rate: cpu });
  if (network) {
    await session.send("Network.enable");
    await session.send("Network.emulateNetworkConditions", network);
  }
  return tab;
}

const marks = (tab) => tab.page.evaluate(() => window.bench);

/** Times of one page view: launcher, long tasks until then, click → panel. */
async function pageView(world, options) {
  const tab = await open(world, options);
  await tab.load("/index.html");
  await until(async () => (await marks(tab)).launcher, "the launcher");
  const { launcher, longTasks } = await marks(tab);
  // A visitor's click, with the panel bundle there or not: it was asked for by then.
  await until(() => tab.requests.some((r) => /panel-.*\.wasm/.test(r.url)), "the panel bundle");
  await tab.page.waitForLoadState("networkidle");
  await tab.launcher.click();
  await until(async () => (await marks(tab)).panel, "the panel");
  const { click, panel } = await marks(tab);
  await tab.page.context().close();
  return { launcher, panel: panel - click, long: longTasks.filter(([start, duration]) => start + duration > 0 && start < launcher).length };
}

/** Long tasks of the same page without the tag, up to `until_ms`: the page's own first layout is one, and none of ours. */
async function barePage(world, options, until_ms) {
  const tab = await open(world, options);
  await tab.goto("/index.html?bare");
  await until(async () => (await tab.page.evaluate(() => performance.now())) > until_ms, "the time that the launcher took");
  const { longTasks } = await marks(tab);
  await tab.page.context().close();
  return longTasks.filter(([start]) => start < until_ms).length;
}

async function conversation(world, model) {
  const tab = await open(world);
  await tab.load("/index.html");
  await tab.launcher.click();
  await until(async () => (await marks(tab)).channel, "the data channel");
  await tab.realtime();
  const { click, channel } = await marks(tab);
  const parts = { all: [], out: [], server: [], screen: [] };
  for (let i = 0; i < 5; i += 1) {
    const expected = `token-${i}`;
    await model.answers(`${expected} and then the rest of the answer`);
    await tab.page.evaluate((text) => { window.bench.expected = text; window.bench.token = undefined; }, expected);
    await tab.say(`Question ${i}`);
    await until(async () => (await marks(tab)).token, "the first token");
    const { enter, left, came, token: at } = await marks(tab);
    const { askedAt, spokeAt } = await model.last();
    const provider = spokeAt - askedAt;
    parts.all.push(at - enter - provider);
    parts.out.push(left - enter);
    parts.server.push(came - left - provider);
    parts.screen.push(at - came);
    await tab.sees("agent", "rest of the answer");
    await until(async () => (await tab.said("agent")).filter((m) => m.state === "done" && m.text.includes("token-")).length === i + 1, "the end of the answer");
  }
  await tab.page.context().close();
  return { channel: channel - click, parts };
}

const percentile = (list, p) => [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.ceil((p / 100) * list.length) - 1)];
const cells = (list) => `${percentile(list, 50).toFixed(1).padStart(8)} ${percentile(list, 95).toFixed(1).padStart(8)}`;

const size = sizes();
console.log(`${table(size)}\n`);

const browser = await launchBrowser();
const world = await makeWorld(browser, { folder: "", options: {
  root: "www/demo", model: await startModelAside(),
  rewrite: (html, url) => (url.searchParams.has("bare") ? html.replace(/<script[^>]* src=[^]*?<\/script>/g, "") : html),
} });
try {
  await pageView(world, {}); // warm: the server's pages, the browser's own caches of code
  const rows = [];
  for (const [name, options] of [["no throttling", {}], ["4x CPU", { cpu: 4 }], ["4x CPU, Slow 4G", { cpu: 4, network: SLOW_4G }]]) {
    const views = [];
    for (let i = 0; i < RUNS; i += 1) views.push(await pageView(world, options));
    rows.push([`launcher visible, ${name}`, views.map((v) => v.launcher), ""]);
    rows.push([`click -> panel painted, ${name}`, views.map((v) => v.panel), name === "4x CPU" ? "<= 50 p50" : ""]);
    const bare = [];
    for (let i = 0; i < RUNS; i += 1) bare.push(await barePage(world, options, percentile(views.map((v) => v.launcher), 50)));
    rows.push([`long tasks until the launcher, ${name}`, views.map((v) => v.long), name === "4x CPU" ? "0 more than the page alone" : ""]);
    rows.push([`  of the page alone in that time, ${name}`, bare, ""]);
  }
  const talks = [];
  for (let i = 0; i < RUNS; i += 1) talks.push(await conversation(world, world.model));
  rows.push(["click -> data channel open", talks.map((t) => t.channel), "<= 250 p95"]);
  const part = (name) => talks.flatMap((t) => t.parts[name]);
  rows.push(["send -> first token on screen, over the provider", part("all"), "<= 10 p50"]);
  rows.push(["  key pressed -> message leaves the page", part("out"), ""]);
  rows.push(["  message leaves -> first token arrives, over the provider", part("server"), ""]);
  rows.push(["  first token arrives -> on screen", part("screen"), ""]);
  const bare = await measure(SERVER, "openai", 100);
  rows.push(["the server alone, HTTPS: message -> acknowledged", bare.acknowledged, ""]);
  rows.push(["the server alone, HTTPS: message -> first token, over the provider", bare.over, ""]);

  console.log(`${"times, ms".padEnd(68)} ${"p50".padStart(8)} ${"p95".padStart(8)}   bar`);
  for (const [name, list, bar] of rows) console.log(`${name.padEnd(68)} ${cells(list)}   ${bar}`);
} finally {
  await world.close();
  await browser.close();
}
for (const name of size.over) console.log(`FAIL ${name}: ${size[name].brotli} bytes of brotli, budget ${size.budgets[name]}`);
process.exit(size.over.length ? 1 : 0);
