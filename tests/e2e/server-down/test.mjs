import { assert, test, until } from "../harness.mjs";

test("the API is down, the files are there: launcher, kind words, and the message goes out later", { model: true, network: true }, async ({ tab, server }) => {
  const page = await tab();
  // The widget's files come from the browser's cache or a CDN; the API does not answer.
  let up = false;
  await page.page.route("**/api/v1/widget/**", (route) => (up ? route.continue() : route.abort("connectionrefused")));
  await page.load();
  await page.openPanel();
  await page.say("Is anybody there?");
  await page.sees("user", "Is anybody there?", ["sending"]);
  await until(() => page.panel.getByText(/keep trying|can.t reach|reconnecting|offline/i).count(), "kind words in the panel");
  up = true;
  await page.sees("user", "Is anybody there?", ["sent"]);
  await page.sees("agent", "You said: Is anybody there?");
  assert.equal((await page.said("user")).length, 1);
  assert.equal((await page.log()).filter((e) => e.type === "user.message").length, 1);
});

test("the whole server is down after the page has loaded: the same", { model: true, network: true }, async ({ tab, server }) => {
  const page = await (await tab()).load();
  await until(() => page.requests.some((r) => /panel-.*wasm/.test(r.url)), "the panel bundle");
  await page.page.waitForLoadState("networkidle");
  await server.kill();
  await page.openPanel();
  await page.say("Hello?");
  await page.sees("user", "Hello?", ["sending"]);
  await server.start();
  await page.sees("agent", "You said: Hello?");
  assert.equal((await page.log()).filter((e) => e.type === "user.message").length, 1);
});

test("the server is down when the page loads: the page does not suffer", { network: true }, async ({ tab, server, site }) => {
  await server.kill();
  const page = await (await tab()).goto();
  assert.equal(await page.page.locator("h1").textContent(), "A page whose chat server is down");
  await page.page.evaluate(() => (typeof window.karta === "function" ? window.karta("open") : undefined));
});

test("a message that waits survives a reload", { model: true, network: true }, async ({ tab, server }) => {
  const page = await (await tab()).load();
  await page.openPanel();
  await page.say("First");
  await page.sees("agent", "You said: First");
  let up = false;
  await page.page.route("**/api/v1/widget/**", (route) => (up ? route.continue() : route.abort("connectionrefused")));
  await page.page.evaluate(() => window.dispatchEvent(new Event("offline")));
  await server.kill();
  await page.say("Second");
  await page.sees("user", "Second", ["sending"]);
  await server.start();
  up = true;
  await page.load();
  await page.reveal();
  await page.sees("user", "Second", ["sent"]);
  assert.equal((await page.log()).filter((e) => e.text === "Second").length, 1);
});
