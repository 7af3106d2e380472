// `./build.sh demo` as its user meets it, after the build: its two addresses, its data, its end.
import { spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { assert, SERVER, test, until } from "../harness.mjs";
import { startModel } from "../harness/llm.mjs";
import { freePort } from "../harness/port.mjs";

const ROOT = path.resolve(import.meta.dirname, "../../..");

/** One demo: what it has printed, and how it ends. */
function start(args, { server = SERVER, env = {}, tree = ROOT } = {}) {
  const child = spawn(process.execPath, [path.join(tree, "scripts/demo.mjs"), "--server", server, ...args], { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
  const demo = { child, out: "", err: "" };
  child.stdout.setEncoding("utf8").on("data", (text) => { demo.out += text; });
  child.stderr.setEncoding("utf8").on("data", (text) => { demo.err += text; });
  // "close", not "exit": by then all that it printed has been read.
  demo.ended = new Promise((done) => child.once("close", (code, signal) => done(code ?? signal)));
  demo.ready = () => until(() => /^ready$/m.test(demo.out) || child.exitCode !== null, () => `"ready"; ${demo.out}${demo.err}`);
  return demo;
}

/** Gives `run` a data folder and `demo(options, …)`, which starts one on two free ports; leaves neither a folder nor a process behind. */
const demos = (run) => async (world) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "karta-demo-"));
  const [port, apiPort] = [await freePort(), await freePort()];
  const started = [];
  const demo = (more = [], options = {}) => {
    started.push(start(["--port", port, "--api-port", apiPort, "--data", path.join(dir, "data"), ...more].map(String), options));
    return started.at(-1);
  };
  try {
    await run({ ...world, dir, demo, port, apiPort, shop: `http://127.0.0.1:${port}`, api: `http://127.0.0.1:${apiPort}` });
  } finally {
    for (const { child, ended } of started) {
      child.kill("SIGTERM");
      await ended;
    }
    fs.rmSync(dir, { recursive: true, force: true });
  }
};

/** A program in a folder. */
function script(dir, body) {
  const file = path.join(dir, "program");
  fs.writeFileSync(file, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return file;
}

const page = async (shop) => (await fetch(`${shop}/`)).text();
const keyOf = (html) => /data-embed-key="(pk_live_\w+)"/.exec(html)[1];
const closed = (url) => fetch(url).then(() => false, () => true);

test("both addresses are printed, then ready; the shop has the tag, and its agent a voice; Ctrl-C ends both", { waits: true }, demos(async ({ demo, shop, api }) => {
  const first = demo();
  await first.ready();
  assert.equal(first.out, `demo shop     ${shop}\nkarta-server  ${api}\nready\n`, first.err);

  const html = await page(shop);
  assert.match(html, new RegExp(`<script async src="${api}/widget/v1/karta\\.js" data-embed-key="pk_live_\\w+" [^>]*></script>`));
  const config = await (await fetch(`${api}/api/v1/widget/config?client_key=${keyOf(html)}`, { headers: { origin: shop } })).json();
  assert.equal(config.features.voice, true, `flite and pocketsphinx are there: ${JSON.stringify(config.features)}`);

  first.child.kill("SIGINT");
  assert.equal(await first.ended, 0);
  assert.deepEqual(await Promise.all([shop, api].map(closed)), [true, true], "both ports are closed");
}));

test("a second start goes on with what the first one made, within seconds", { waits: true }, demos(async ({ demo, shop }) => {
  const first = demo();
  await first.ready();
  assert.match(first.err, /Seeding the demo/);
  const key = keyOf(await page(shop));
  first.child.kill("SIGTERM");
  assert.equal(await first.ended, 0);

  const before = performance.now();
  const second = demo();
  await second.ready();
  assert.match(second.out, /^ready$/m, second.err);
  assert.ok(performance.now() - before < 10_000, "seconds");
  assert.doesNotMatch(second.err, /Seeding/);
  assert.equal(keyOf(await page(shop)), key);
}));

test("on another port the same agent gets a key for it", { waits: true }, demos(async ({ demo, shop }) => {
  const first = demo();
  await first.ready();
  const key = keyOf(await page(shop));
  first.child.kill("SIGTERM");
  await first.ended;

  const port = await freePort();
  const second = demo(["--port", port]);
  await second.ready();
  assert.match(second.out, new RegExp(`^demo shop     http://127.0.0.1:${port}\nkarta-server  [^\n]+\nready\n$`), second.err);
  assert.notEqual(keyOf(await page(`http://127.0.0.1:${port}`)), key);
}));

test("what is no port is refused with 2; a port that is taken is 1, and names the option", { waits: true }, demos(async ({ demo, port, apiPort }) => {
  for (const option of ["--port", "--api-port"]) {
    const wrong = demo([option, "x"]);
    assert.equal(await wrong.ended, 2);
    assert.match(wrong.err, new RegExp(`^demo: ${option} wants a port number, not "x"$`, "m"));
  }
  for (const [option, number] of [["--port", port], ["--api-port", apiPort]]) {
    const other = http.createServer().listen(number, "127.0.0.1");
    await new Promise((done) => other.once("listening", done));
    const blocked = demo();
    assert.equal(await blocked.ended, 1, blocked.out);
    assert.match(blocked.err, new RegExp(`^demo: port ${number} is taken; choose another with ${option}$`, "m"));
    assert.equal(blocked.out, "", "and no address is promised");
    await new Promise((done) => other.close(done));
  }
}));

test("with OPENAI_BASE_URL the shop's questions go to that model", demos(async ({ demo, shop, tab }) => {
  const model = await startModel();
  const running = demo([], { env: { OPENAI_BASE_URL: model.baseUrl, OPENAI_API_KEY: "sk-test", OPENAI_MODEL: "stand-in" } });
  await running.ready();
  const visitor = await tab();
  visitor.origin = shop;
  await visitor.load("/");
  await visitor.openPanel();
  await visitor.say("Which grinder do you like?");
  await visitor.sees("agent", "You said: Which grinder do you like?");
  assert.equal(model.calls.at(-1).body.model, "stand-in");
  assert.match(model.calls.at(-1).messages[0].content, /You are Juniper/);
  await visitor.page.close();
  await model.close();
}));

/** Whether this process has ended; if not, it is ended now. */
function gone(pid) {
  try {
    process.kill(pid, "SIGKILL");
    return false;
  } catch {
    return true;
  }
}

test("a signal before the server is ready leaves no server behind", { waits: true }, demos(async ({ demo, dir }) => {
  const pid = path.join(dir, "pid");
  const starting = demo([], { server: script(dir, `echo $$ >${pid}; exec sleep 600`) });
  const child = await until(() => fs.existsSync(pid) && Number(fs.readFileSync(pid, "utf8")), () => `the server's start; ${starting.err}`);
  starting.child.kill("SIGTERM");
  assert.equal(await starting.ended, 0);
  assert.ok(gone(child), "the server has ended, too");
}));

test("nor does one while a rebuilt server starts", { waits: true }, demos(async ({ demo, dir }) => {
  // A tree in which every build is done at once.
  for (const part of ["scripts", "www/demo"]) fs.cpSync(path.join(ROOT, part), path.join(dir, part), { recursive: true });
  for (const part of ["src", "protocol/src", "server/src"]) fs.mkdirSync(path.join(dir, part), { recursive: true });
  fs.renameSync(script(dir, "exit 0"), path.join(dir, "build.sh"));
  // The second one never gets ready.
  const pid = path.join(dir, "pid");
  const server = script(dir, `[ "$1" = serve ] || exec "${SERVER}" "$@"; [ ! -e ${dir}/first ] || { echo $$ >${pid}; exec sleep 600; }; touch ${dir}/first; exec "${SERVER}" "$@"`);
  const running = demo(["--watch"], { server, tree: dir });
  await running.ready();
  fs.writeFileSync(path.join(dir, "server/src/changed.rs"), "");
  const child = await until(() => fs.existsSync(pid) && Number(fs.readFileSync(pid, "utf8")), () => `the second server's start; ${running.err}`);
  running.child.kill("SIGTERM");
  assert.equal(await running.ended, 0);
  assert.ok(gone(child), "the second server has ended, too");
}));
