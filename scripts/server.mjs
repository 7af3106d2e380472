// The real karta-server as a child process, and its command line. The demo, the end-to-end tests and the benchmark share it.
import { execFile, spawn } from "node:child_process";
import readline from "node:readline";
import { promisify } from "node:util";

const exec = promisify(execFile);

/** Runs one administrative command and returns what it printed. */
export async function cli(binary, dataDir, ...args) {
  const { stdout } = await exec(binary, [...args, "--data-dir", dataDir], { env: { ...process.env, KARTA_LOG: "warn" } });
  return stdout;
}

/** An agent with its knowledge and a key pinned to it. Returns {agent, key}. */
export async function seed(binary, dataDir, { name, agentArgs = [], origins, knowledge = [], agentId }) {
  const agent = agentId ?? await seedAgent(binary, dataDir, { name, agentArgs, knowledge });
  const key = field(await cli(binary, dataDir, "keys", "create", "--name", name, ...origins.flatMap((o) => ["--origin", o]), "--agent", agent, "--json"), "public_key");
  return { agent, key };
}

/** An agent with its knowledge. Returns its id. */
export async function seedAgent(binary, dataDir, { name, agentArgs = [], knowledge = [] }) {
  const agent = field(await cli(binary, dataDir, "agents", "create", "--name", name, ...agentArgs, "--json"), "id");
  if (knowledge.length) await cli(binary, dataDir, "knowledge", "add", ...knowledge, "--agent", agent);
  return agent;
}

function field(json, name) {
  const value = JSON.parse(json)[name];
  if (typeof value !== "string") throw new Error(`no "${name}" in what the command printed`);
  return value;
}

/**
 * Starts `karta-server serve` and waits until it says that it accepts connections. `onStart` is given what ends it before that: `stop`.
 * Returns {http, udp, child, exited, log(), stop(signal)}.
 */
export async function startServer(binary, { dataDir, listen = "127.0.0.1:0", udpListen = "127.0.0.1:0", env = {}, onLog = () => {}, onStart = () => {} }) {
  const child = spawn(binary, ["serve", "--listen", listen, "--udp-listen", udpListen, "--data-dir", dataDir], {
    env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    log = (log + text).slice(-200_000);
    onLog(text);
  });
  const exited = new Promise((done) => child.once("exit", (code, signal) => done({ code, signal })));
  const stop = async (signal = "SIGTERM") => {
    // Without a process there was none to start, and its exit will not come.
    if (child.pid === undefined) return undefined;
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    return exited;
  };
  onStart(stop);
  const ready = new Promise((done, fail) => {
    readline.createInterface({ input: child.stdout }).on("line", (line) => {
      const found = /^karta-server ready http=(\S+) udp=(\S+)/.exec(line);
      if (found) done({ http: found[1], udp: found[2] });
    });
    child.once("error", fail);
    exited.then(({ code, signal }) => fail(new Error(`karta-server ended before it was ready (${signal ?? code}):\n${log}`)));
  });
  const addresses = await ready;
  return { ...addresses, child, exited, stop, log: () => log };
}
