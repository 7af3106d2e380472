import { assert, test, until } from "../harness.mjs";

// What a strict page needs to allow: its own nonce, WebAssembly, and the connection to the server.
const policy = (connect, wasm = "'wasm-unsafe-eval'") => [
  "default-src 'none'", `script-src 'nonce-r4nd0m' 'strict-dynamic' ${wasm}`, "style-src 'none'", `connect-src ${connect}`,
  "img-src 'none'", "base-uri 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'",
].join("; ");

test("a strict policy with trusted types: full chat, no violation", { model: true, headers: () => ({ "content-security-policy": policy("http://127.0.0.1:*") }) }, async ({ tab, model }) => {
  model.answers("**Bold**, a [link](https://example.com/), and\n\n- a list\n\n```\ncode\n```");
  const page = await (await tab()).load();
  await page.openPanel();
  await page.say("Under guard");
  await page.sees("agent", "Bold");
  assert.deepEqual((await page.probe()).csp, []);
  const box = await page.panel.boundingBox();
  assert.ok(box.width > 250 && box.height > 300, `styles apply: ${JSON.stringify(box)}`);
});

test("where the policy forbids WebAssembly, one warning says what to add", { headers: () => ({ "content-security-policy": policy("http://127.0.0.1:*", "") }) }, async ({ tab }) => {
  const page = await (await tab()).goto();
  await until(() => page.complaints.some((c) => c.includes("wasm_blocked")), async () => `a warning; complaints: ${page.complaints}`);
  const warnings = page.takeComplaints(/\[karta\]/);
  assert.equal(warnings.length, 1, `${warnings}`);
  assert.match(warnings[0], /wasm-unsafe-eval/);
  page.forgive(/Content Security Policy|wasm/i);
});

const isolated = { "cross-origin-embedder-policy": "require-corp", "cross-origin-opener-policy": "same-origin" };
/** The same machine, and to a browser another site than the server's address. */
const elsewhere = (origin) => origin.replace("127.0.0.1", "localhost");

test("a cross-origin isolated page of another site: full chat", { model: true, headers: () => isolated, origins: (site) => [elsewhere(site)] }, async ({ tab, site }) => {
  const page = await tab();
  page.origin = elsewhere(site.origin);
  await page.load();
  assert.equal(await page.page.evaluate(() => window.crossOriginIsolated), true);
  await page.openPanel();
  await page.say("In isolation");
  await page.sees("agent", "You said: In isolation");
  await page.realtime();
});
