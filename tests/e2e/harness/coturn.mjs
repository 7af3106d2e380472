// A real coturn on loopback, with time-limited credentials from a shared secret (docs/OPERATING.md has the same for production).
import { spawn } from "node:child_process";
import dgram from "node:dgram";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { until } from "./until.mjs";

/** A port that was free a moment ago. */
async function freePort() {
  const socket = dgram.createSocket("udp4");
  await new Promise((done) => socket.bind(0, "127.0.0.1", done));
  const { port } = socket.address();
  await new Promise((done) => socket.close(done));
  return port;
}

/** {url(transport), log(), stop()}; the realm's users are those that `secret` signs. */
export async function startCoturn({ secret }) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "karta-coturn-"));
  const port = await freePort();
  const config = path.join(dir, "turn.conf");
  // `allow-loopback-peers` is for this test alone: karta-server is on this very machine.
  fs.writeFileSync(config, [
    "listening-ip=127.0.0.1", "relay-ip=127.0.0.1", `listening-port=${port}`, "use-auth-secret", `static-auth-secret=${secret}`, "realm=karta.test",
    "allow-loopback-peers", "allowed-peer-ip=127.0.0.1", "denied-peer-ip=0.0.0.0-255.255.255.255", "user-quota=6", "max-bps=64000", "no-multicast-peers", "no-tls", "no-dtls", "no-cli", "verbose", "log-file=stdout", `userdb=${path.join(dir, "turndb")}`, `pidfile=${path.join(dir, "pid")}`,
  ].join("\n"));
  const child = spawn("turnserver", ["-c", config], { stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => { log += text; });
  const exited = new Promise((done) => { child.once("exit", done); child.once("error", done); });
  let ended = false;
  exited.then(() => { ended = true; });
  await until(() => {
    if (ended) throw new Error(`turnserver ended: is coturn installed?\n${log}`);
    return /IPv4\. UDP listener opened on[^\n]*127\.0\.0\.1:/.test(log) && /IPv4\. TCP listener opened on[^\n]*127\.0\.0\.1:/.test(log);
  }, () => `coturn on port ${port}:\n${log}`);
  return {
    url: (transport) => `turn:127.0.0.1:${port}?transport=${transport}`,
    log: () => log,
    async stop() {
      child.kill("SIGKILL");
      await exited;
      fs.rmSync(dir, { recursive: true, force: true });
    },
  };
}
