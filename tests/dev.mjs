// `./build.sh dev` as a developer uses it: start it, change a source file of each kind, and see the open page change by itself.
// Works on a copy of the tree. Part of `./build.sh test --long`: it builds everything once, and five times a part.
//   node tests/dev.mjs
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";
import { launchBrowser } from "./e2e/harness.mjs";
import { freePort } from "./e2e/harness/port.mjs";
import { until } from "./e2e/harness/until.mjs";

const ROOT = path.resolve(import.meta.dirname, "..");
const TARGET = path.resolve(process.env.CARGO_TARGET_DIR ?? path.join(ROOT, "target"));
/** A target folder of its own: cargo tells sources apart by their age, so in a shared one the next build here would take the changed server for its own. */
const OWN_TARGET = path.join(TARGET, "dev-test");
const BUILD_MS = 15 * 60_000;

/** A copy of what git knows, so that the sources here stay as they are whatever happens. */
function copyOfTree() {
  // Always the same place: a debug server knows where it was built, and cargo does not build it anew for another.
  const to = path.join(OWN_TARGET, "tree");
  fs.rmSync(to, { recursive: true, force: true });
  for (const file of execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: ROOT, encoding: "utf8" }).split("\0")) {
    if (!file || !fs.existsSync(path.join(ROOT, file))) continue;
    fs.mkdirSync(path.dirname(path.join(to, file)), { recursive: true });
    fs.copyFileSync(path.join(ROOT, file), path.join(to, file));
  }
  fs.symlinkSync(fs.realpathSync(path.join(ROOT, "node_modules")), path.join(to, "node_modules"));
  return to;
}

const answers = (url) => fetch(url).then((answer) => answer.text()).catch(() => "");

let failed = 0;
let passed = 0;
async function check(name, run) {
  const start = Date.now();
  try {
    await run();
    passed += 1;
    console.log(`ok    dev: ${name} (${Date.now() - start} ms)`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  dev: ${name} (${Date.now() - start} ms)\n${error.stack ?? error}`);
  }
}

const tree = copyOfTree();
// The tools are the same for every copy.
if (fs.existsSync(path.join(TARGET, "tools")) && !fs.existsSync(path.join(OWN_TARGET, "tools"))) fs.symlinkSync(path.join(TARGET, "tools"), path.join(OWN_TARGET, "tools"));
const [port, apiPort] = [await freePort(), await freePort()];
const shop = `http://127.0.0.1:${port}/`;
const health = `http://127.0.0.1:${apiPort}/healthz`;
const edit = (file, change) => {
  const name = path.join(tree, file);
  const [before, after] = [fs.readFileSync(name, "utf8"), change(fs.readFileSync(name, "utf8"))];
  assert.notEqual(after, before, `${file} is as the test expects`);
  fs.writeFileSync(name, after);
};

const child = spawn(path.join(tree, "build.sh"), ["dev", "--port", String(port), "--api-port", String(apiPort)], {
  cwd: tree, stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, CARGO_TARGET_DIR: OWN_TARGET },
});
let log = "";
child.stderr.setEncoding("utf8").on("data", (text) => { log = (log + text).slice(-20_000); });
const exited = new Promise((done) => child.once("exit", (code, signal) => done(code ?? signal)));
const browser = await launchBrowser();
try {
  await new Promise((done, fail) => {
    readline.createInterface({ input: child.stdout }).on("line", (line) => { if (line === "ready") done(); });
    exited.then((code) => fail(new Error(`it ended (${code}) before it was ready:\n${log}`)));
  });
  const page = await browser.newPage();
  await page.goto(shop);
  await page.locator('karta-root [part~="launcher"]').waitFor();
  // Between two pages there is none to ask: that is a "not yet" too.
  const inPage = (expression) => page.evaluate(expression).catch(() => undefined);

  await check("a change of the loader reaches the open page", async () => {
    edit("www/karta.js", (text) => `${text}\nwindow.devLoader = 1;\n`);
    await until(() => inPage("window.devLoader"), () => `the new loader; ${log.slice(-2_000)}`, BUILD_MS);
  });
  await check("a change of the widget's style reaches the open page", async () => {
    edit("src/browser/dom/launcher.css", (text) => `${text}\n:host{--dev-style:1}\n`);
    const style = 'getComputedStyle(document.querySelector("karta-root")).getPropertyValue("--dev-style").trim()';
    await until(async () => (await inPage(style)) === "1", () => `the new style; ${log.slice(-2_000)}`, BUILD_MS);
  });
  await check("a change of the server restarts it and reloads the page", async () => {
    await inPage("window.devBefore = 1");
    edit("server/src/routes/health.rs", (text) => text.replace('status: "ok"', 'status: "changed"'));
    await until(async () => (await answers(health)).includes("changed"), () => `the new server; ${log.slice(-2_000)}`, BUILD_MS);
    await until(async () => (await inPage("[window.devBefore, window.karta && 1]"))?.join() === ",1", "the page after it");
  });
  await check("what does not build leaves the old server, and the repair is taken", async () => {
    edit("server/src/routes/health.rs", (text) => `${text}\nnot rust\n`);
    await until(() => log.includes("karta-server does not build"), () => `the failure; ${log.slice(-2_000)}`, BUILD_MS);
    assert.match(await answers(health), /changed/);
    edit("server/src/routes/health.rs", (text) => text.replace("\nnot rust\n", "").replace('"changed"', '"repaired"'));
    await until(async () => (await answers(health)).includes("repaired"), () => `the repaired server; ${log.slice(-2_000)}`, BUILD_MS);
  });
  await check("a change of the shop's page is there at once", async () => {
    edit("www/demo/index.html", (text) => text.replace("</body>", "<script>window.devPage = 1</script></body>"));
    await until(() => inPage("window.devPage"), "the new page");
  });
  await check("a signal ends it with nothing left behind", async () => {
    child.kill("SIGINT");
    assert.equal(await exited, 0);
    assert.equal(await answers(health) + await answers(shop), "");
  });
} catch (error) {
  failed += 1;
  console.log(`FAIL  dev: ${error.stack ?? error}`);
} finally {
  await browser.close();
  if (child.exitCode === null) child.kill("SIGTERM");
  await exited;
  fs.rmSync(tree, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
