// Firefox as a child process, and WebDriver BiDi to it: the W3C's protocol, which a stock Firefox speaks by itself. No more than sending commands and hearing events; what
// a test does with a page is in firefox.mjs.
//
// Why not a library: Playwright's BiDi sends commands of a later draft that Firefox ESR refuses (`emulation.setMediaFeaturesOverride`). Puppeteer speaks it well, but waits for ever in a
// reload or a step back once a page has come out of the back-forward cache, which is one of the things to be tested, and brings eighty packages (57 MB).
import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";
import WebSocket from "ws";

const START_MS = 60_000;

/** `FIREFOX` names one; else the one that is installed. */
export function findFirefox() {
  const names = ["firefox-esr", "firefox"];
  return process.env.FIREFOX || names.flatMap((name) => process.env.PATH.split(":").map((dir) => path.join(dir, name))).find((file) => fs.existsSync(file));
}

/** Starts a Firefox with a new profile and these prefs. Gives {send(method, params), on(event, hear), gone (when it has ended, however), close()}. */
export async function startFirefox(file, prefs) {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), "karta-firefox-"));
  fs.writeFileSync(path.join(profile, "user.js"), Object.entries(prefs).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`).join(""));
  const child = spawn(file, ["--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0", "about:blank"], {
    stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, MOZ_CRASHREPORTER_DISABLE: "1" },
  });
  const ended = new Promise((done) => child.once("exit", done));
  const clean = () => {
    child.kill("SIGKILL");
    fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  process.once("exit", clean);
  const address = await listening(child);
  const socket = new WebSocket(`${address}/session`, { perMessageDeflate: false, maxPayload: 256 * 1024 * 1024 });
  await new Promise((done, fail) => socket.once("open", done).once("error", fail));

  let last = 0;
  const awaited = new Map();
  const hearers = new Map();
  socket.on("message", (text) => {
    const message = JSON.parse(text);
    if (message.type === "event") {
      for (const hear of hearers.get(message.method) ?? []) hear(message.params);
      return;
    }
    const { method, done, fail } = awaited.get(message.id) ?? {};
    awaited.delete(message.id);
    if (message.type === "success") done?.(message.result);
    else fail?.(new Error(`Firefox refuses ${method}: ${message.error}: ${message.message}`));
  });
  const gone = new Promise((done) => { socket.once("close", done); });
  gone.then(() => { for (const { method, fail } of awaited.values()) fail(new Error(`Firefox ended before it answered ${method}`)); });

  const send = (method, params = {}) => new Promise((done, fail) => {
    if (socket.readyState !== WebSocket.OPEN) return fail(new Error(`Firefox has ended: no ${method}`));
    awaited.set(last += 1, { method, done, fail });
    socket.send(JSON.stringify({ id: last, method, params }));
  });
  await send("session.new", { capabilities: {} });
  return {
    send, gone,
    async on(event, hear) {
      if (!hearers.has(event)) {
        hearers.set(event, []);
        await send("session.subscribe", { events: [event] });
      }
      hearers.get(event).push(hear);
    },
    async close() {
      await send("browser.close").catch(() => {});
      await ended;
      process.off("exit", clean);
      clean();
    },
  };
}

/** Waits for the line that tells the address. */
function listening(child) {
  return new Promise((done, fail) => {
    const said = [];
    const timer = setTimeout(() => fail(new Error(`Firefox did not start in ${START_MS} ms:\n${said.join("\n")}`)), START_MS);
    readline.createInterface({ input: child.stderr }).on("line", (line) => {
      said.push(line);
      const found = /WebDriver BiDi listening on (ws:\S+)/.exec(line);
      if (!found) return;
      clearTimeout(timer);
      done(found[1]);
    });
    child.once("error", fail);
    child.once("exit", (code) => fail(new Error(`Firefox ended (${code}) before it listened:\n${said.join("\n")}`)));
  });
}
