import { assert, test, until } from "../harness.mjs";
import fs from "node:fs";
import path from "node:path";

const budgets = JSON.parse(fs.readFileSync(path.resolve(import.meta.dirname, "../../../bench/budgets.json"), "utf8"));

test("what really crosses the wire stays within the budgets", async ({ tab, server }) => {
  const page = await tab();
  const session = await page.page.context().newCDPSession(page.page);
  await session.send("Network.enable");
  const urls = new Map();
  const bytes = new Map();
  session.on("Network.responseReceived", ({ requestId, response }) => urls.set(requestId, response));
  session.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    const response = urls.get(requestId);
    if (response?.url.includes("/widget/")) bytes.set(new URL(response.url).pathname, { size: encodedDataLength, headers: response.headers });
  });
  await page.load();
  await until(() => [...bytes.keys()].some((p) => /panel-.*\.wasm/.test(p)), "the panel's wasm");
  const sum = (wanted) => [...bytes].filter(([p]) => wanted(p)).reduce((total, [, { size }]) => total + size, 0);
  const first = sum((p) => !p.includes("panel-"));
  // encodedDataLength counts response headers too; they are ours as well.
  assert.ok(first > 2000 && first <= budgets.launcher, `until the launcher: ${first} of ${budgets.launcher} bytes`);
  assert.ok(sum(() => true) <= budgets.all, `all: ${sum(() => true)} of ${budgets.all} bytes`);
  for (const [file, { headers }] of bytes) {
    const header = Object.fromEntries(Object.entries(headers).map(([k, v]) => [k.toLowerCase(), v]));
    assert.equal(header["content-encoding"], "br", `${file} is sent as brotli`);
    if (file.includes("/assets/")) assert.match(header["cache-control"], /immutable/);
    if (file.endsWith(".wasm")) assert.equal(header["content-type"], "application/wasm");
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
