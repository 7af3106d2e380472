// The real Pipecat as a process of its own, with a bot made of its stock parts (engine/pipecat_bot.py). One process imports it, the bots are its forks.
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";
import { freePort } from "./port.mjs";
import { until } from "./until.mjs";

const ROOT = path.resolve(import.meta.dirname, "../../..");
const BOT = path.join(ROOT, "tests/e2e/engine/pipecat_bot.py");
export const PYTHON = process.env.KARTA_PIPECAT_PYTHON ?? path.join(process.env.KARTA_TOOLS ?? path.join(ROOT, "target/tools"), "pipecat/bin/python");

let parent;
/** Begins a bot; gives the number of its process. */
async function fork(wanted) {
  if (!fs.existsSync(PYTHON)) throw new Error(`no Pipecat at ${PYTHON}: ./build.sh test installs it, or set KARTA_PIPECAT_PYTHON`);
  parent ??= (() => {
    const child = spawn(PYTHON, [BOT], { env: { ...process.env, PYTHONUNBUFFERED: "1" }, stdio: ["pipe", "pipe", "pipe"] });
    let log = "";
    child.stderr.setEncoding("utf8").on("data", (text) => { log = (log + text).slice(-20_000); });
    return { child, lines: readline.createInterface({ input: child.stdout })[Symbol.asyncIterator](), log: () => log };
  })();
  // Asked one after the other, answered in that order.
  parent.child.stdin.write(JSON.stringify(wanted) + "\n");
  const { value: pid } = await parent.lines.next();
  if (!pid) throw new Error(`Pipecat ended:\n${parent.log()}`);
  return Number(pid);
}

function lives(pid) {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** `dir`: where the bot notes what it was told. */
export async function startBot(dir) {
  const port = await freePort();
  const [told, log] = ["told.json", "bot.log"].map((name) => path.join(dir, name));
  const pid = await fork({ port, told, log });
  const said = () => (fs.existsSync(log) ? fs.readFileSync(log, "utf8").slice(-200_000) : "");
  const url = `http://127.0.0.1:${port}`;
  await until(async () => {
    if (!lives(pid)) throw new Error(`the bot ended:\n${said()}`);
    return fetch(`${url}/status`).then((answer) => answer.ok, () => false);
  }, () => `the bot; it says:\n${said()}`, 90_000);
  return {
    url,
    env: { KARTA_PIPECAT_URL: url },
    log: said,
    told: () => JSON.parse(fs.readFileSync(told, "utf8")),
    /** SIGTERM does not end it. */
    async close() {
      if (lives(pid)) process.kill(pid, "SIGKILL");
      await until(() => !lives(pid), "the bot to end");
    },
  };
}
