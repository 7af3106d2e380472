// Runs tests/e2e: one line a test, then "N passed, N failed".
//   node tests/e2e/run.mjs [--long] [part of a name…]
// A failed test leaves a screenshot of each tab in .karta/test/.
import fs from "node:fs";
import path from "node:path";
import { inFolder, launchBrowser, makeWorld, SERVER, tests } from "./harness.mjs";

const HERE = import.meta.dirname;
const SHOTS = path.resolve(HERE, "../../.karta/test");
const long = process.argv.includes("--long");
const wanted = process.argv.slice(2).filter((arg) => !arg.startsWith("--"));
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
const chosen = tests.filter((t) => (long || !t.options.long) && (!wanted.length || wanted.some((w) => t.name.includes(w))));

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

const browser = await launchBrowser();
let failed = 0;
for (const test of chosen) {
  const start = Date.now();
  try {
    await runOne(browser, test);
    console.log(`ok    ${test.name} (${Date.now() - start} ms)`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${test.name} (${Date.now() - start} ms)\n${error.stack ?? error}\n${error.details ?? ""}`);
  }
}
await browser.close();
console.log(`${chosen.length - failed} passed, ${failed} failed`);
process.exit(failed || !chosen.length ? 1 : 0);
