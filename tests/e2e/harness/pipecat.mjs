// The real Pipecat as a child process, with a bot made of its stock parts (engine/pipecat_bot.py).
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { freePort } from "./port.mjs";
import { until } from "./until.mjs";

const ROOT = path.resolve(import.meta.dirname, "../../..");
const BOT = path.join(ROOT, "tests/e2e/engine/pipecat_bot.py");
export const PYTHON = process.env.KARTA_PIPECAT_PYTHON ?? path.join(process.env.KARTA_TOOLS ?? path.join(ROOT, "target/tools"), "pipecat/bin/python");

/** `dir`: where the bot notes what it was told. */
export async function startBot(dir) {
  if (!fs.existsSync(PYTHON)) throw new Error(`no Pipecat at ${PYTHON}: ./build.sh test installs it, or set KARTA_PIPECAT_PYTHON`);
  const port = await freePort();
  const told = path.join(dir, "told.json");
  const child = spawn(PYTHON, [BOT, "-t", "webrtc", "--host", "127.0.0.1", "--port", String(port)], {
    env: { ...process.env, BOT_TOLD: told, PYTHONUNBUFFERED: "1" }, stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => { log = (log + text).slice(-200_000); });
  const exited = new Promise((done) => child.once("exit", done));
  const url = `http://127.0.0.1:${port}`;
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`the bot ended:\n${log}`);
    return fetch(`${url}/status`).then((answer) => answer.ok, () => false);
  }, () => `the bot; it says:\n${log}`, 90_000);
  return {
    url,
    env: { KARTA_PIPECAT_URL: url },
    log: () => log,
    told: () => JSON.parse(fs.readFileSync(told, "utf8")),
    /** SIGTERM does not end it. */
    close() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      return exited;
    },
  };
}
