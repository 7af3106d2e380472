import { assert, test, until } from "../harness.mjs";
import fs from "node:fs";
import path from "node:path";

const budgets = JSON.parse(fs.readFileSync(path.resolve(import.meta.dirname, "../../../bench/budgets.json"), "utf8"));

test("what really crosses the wire stays within the budgets", async ({ tab, server }) => {
  const page = await tab();
  const session = await page.page.context().newCDPSession(page.page);
  await session.send("Network.enable");
  /** request → {path, headers, size}: bodies as they are sent, compressed. */
  const files = new Map();
  session.on("Network.responseReceived", ({ requestId, response }) => {
    if (!new URL(response.url).pathname.startsWith("/widget/")) return;
    const headers = Object.fromEntries(Object.entries(response.headers).map(([k, v]) => [k.toLowerCase(), v]));
    files.set(requestId, { path: new URL(response.url).pathname, headers, size: Number(headers["content-length"]) });
  });
  const finished = new Set();
  session.on("Network.loadingFinished", ({ requestId }) => { if (files.has(requestId)) finished.add(files.get(requestId).path); });
  await page.load();
  await until(() => [...finished].filter((p) => p.includes("panel-")).length === 2, "both files of the panel bundle");
  const sum = (wanted) => [...files.values()].filter(({ path }) => wanted(path)).reduce((total, { size }) => total + size, 0);
  const first = sum((p) => !p.includes("panel-"));
  assert.ok(first > 2000 && first <= budgets.launcher, `until the launcher: ${first} of ${budgets.launcher} bytes`);
  assert.ok(sum(() => true) <= budgets.all, `all: ${sum(() => true)} of ${budgets.all} bytes`);
  assert.equal(files.size, 5, "loader, and two files for each bundle");
  for (const { path: file, headers } of files.values()) {
    assert.equal(headers["content-encoding"], "br", `${file} is sent as brotli`);
    if (file.includes("/assets/")) assert.match(headers["cache-control"], /immutable/);
    if (file.endsWith(".wasm")) assert.equal(headers["content-type"], "application/wasm");
  }
});

test("gzip and plain where the browser asks for them; 404 for what is not there", async ({ server }) => {
  for (const [accept, expected] of [["gzip", "gzip"], ["identity", null], ["br;q=0, gzip", "gzip"]]) {
    const answer = await fetch(`${server.http}/widget/v1/karta.js`, { headers: { "accept-encoding": accept } });
    assert.equal(answer.headers.get("content-encoding"), expected, accept);
    assert.match(answer.headers.get("vary") ?? "", /accept-encoding/i);
    await answer.arrayBuffer();
  }
  for (const name of ["nothing.wasm", "..%2f..%2fCargo.toml", "launcher-000000000000.js"]) {
    assert.equal((await fetch(`${server.http}/widget/v1/assets/${name}`)).status, 404, name);
  }
});
