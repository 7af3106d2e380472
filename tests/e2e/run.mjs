// Runs tests/e2e: one line a test, then "N passed, N failed".
//   node tests/e2e/run.mjs [--long] [--lanes 2] [--times 1] [part of a name…]
// Tests mostly wait (a call takes as long as what is said in it), so two run at a time, each with a server, a page and a browser of its own.
// Those of one folder run one after the other. A lane more has those that do little but wait (`waits`). --times runs each test that often: what is new must hold twenty times.
// A failed test leaves a screenshot of each tab in .karta/test/.
import fs from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { inFolder, launchBrowser, makeWorld, SERVER, tests } from "./harness.mjs";
import { closeFirefox, hasFirefox } from "./harness/firefox.mjs";

const HERE = import.meta.dirname;
const SHOTS = path.resolve(HERE, "../../.karta/test");
const { values: { long, lanes, times }, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: { long: { type: "boolean", default: false }, lanes: { type: "string", default: "2" }, times: { type: "string", default: "1" } },
});
const TEST_TIMEOUT_MS = 60_000;

if (!fs.existsSync(SERVER)) {
  console.error(`no server at ${SERVER}: run ./build.sh server --dev, or set KARTA_SERVER_BIN`);
  process.exit(1);
}
for (const name of fs.readdirSync(HERE).sort()) {
  const folder = path.join(HERE, name);
  if (!fs.existsSync(path.join(folder, "test.mjs"))) continue;
  inFolder(folder);
  await import(path.join(folder, "test.mjs"));
}
const asked = tests.filter((t) => (long || !t.options.long) && (!wanted.length || wanted.some((w) => t.name.includes(w))));
const chosen = asked.filter((t) => !t.options.firefox || hasFirefox());
if (chosen.length < asked.length) console.log(`skip  ${asked.length - chosen.length} tests in Firefox: there is none (install firefox-esr, or set FIREFOX)`);
/** Folders, as long ones first as these are known: so no lane is left alone with one. */
const LONG = ["engine pipecat", "voice", "engine openai", "firefox", "turn", "microphone", "fuzz", "reload"];
const weight = (name) => LONG.indexOf(name) + 1 || LONG.length + 1;
/** Those of each engine are as many as those of a folder. */
const folderOf = ({ folder, options }) => [path.basename(folder), options.engine].filter(Boolean).join(" ");
/** Folder by folder, all of it as often as wanted. */
function queueOf(tests) {
  const folders = [...new Set(tests.map(folderOf))].sort((a, b) => weight(a) - weight(b)).map((name) => tests.filter((t) => folderOf(t) === name));
  return Array.from({ length: Number(times) }, () => folders).flat();
}
const idles = (t) => lanes > 1 && Boolean(t.options.waits);
const busy = queueOf(chosen.filter((t) => !idles(t)));
const waiting = queueOf(chosen.filter(idles));

async function runOne(browser, test) {
  const world = await makeWorld(browser, test);
  const timeout = test.options.timeoutMs ?? TEST_TIMEOUT_MS;
  let timer;
  try {
    const late = new Promise((_, fail) => { timer = setTimeout(() => fail(new Error(`not done after ${timeout} ms`)), timeout); });
    await Promise.race([test.run(world), late]);
    world.checkComplaints();
  } catch (error) {
    fs.mkdirSync(SHOTS, { recursive: true });
    const stem = test.name.replace(/\W+/g, "-");
    for (const [i, tab] of world.tabs.entries()) await tab.page.screenshot({ path: path.join(SHOTS, `${stem}-${i}.png`), timeout: 5000 }).catch(() => {});
    error.details = [
      ...world.tabs.flatMap((tab) => tab.complaints.map((c) => `  page: ${c}`)),
      ...(world.engine?.log ? ["  engine:", ...world.engine.log().trimEnd().split("\n").slice(-15).map((line) => `    ${line.slice(0, 300)}`)] : []),
      "  server:", ...world.server.log().trimEnd().split("\n").slice(-15).map((line) => `    ${line}`),
    ].join("\n");
    throw error;
  } finally {
    clearTimeout(timer);
    await world.close();
  }
}

let failed = 0;
/** Takes folders from a queue until it is empty. */
async function lane(queue) {
  if (!queue.length) return;
  const browser = await launchBrowser();
  for (let tests = queue.shift(); tests; tests = queue.shift()) {
    for (const test of tests) {
      const start = Date.now();
      try {
        await runOne(browser, test);
        console.log(`ok    ${test.name} (${Date.now() - start} ms)`);
      } catch (error) {
        failed += 1;
        console.log(`FAIL  ${test.name} (${Date.now() - start} ms)\n${error.stack ?? error}\n${error.details ?? ""}`);
      }
    }
  }
  await closeFirefox(browser);
  await browser.close();
}

await Promise.all([...Array.from({ length: Math.min(Number(lanes), busy.length) }, () => lane(busy)), lane(waiting)]);
const count = chosen.length * Number(times);
console.log(`${count - failed} passed, ${failed} failed`);
process.exit(failed || !count ? 1 : 0);
