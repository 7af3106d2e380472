import { assert, test, until } from "../harness.mjs";

test("one tag gives a launcher, a panel and a streamed answer from the owner's documents", async ({ server, site, tab }) => {
  assert.notEqual(new URL(server.http).origin, site.origin, "the embed is cross-origin");
  const page = await (await tab()).load();
  assert.equal(await page.page.locator("karta-root").count(), 1);
  assert.equal(await page.panel.count(), 0, "no panel before the first open");
  assert.deepEqual(await page.page.evaluate(() => ({ ...localStorage })), {}, "nothing is stored before the first open");
  assert.equal(page.posts("/sessions").length, 0, "no session before the first open");

  await page.openPanel();
  await page.say("How much does shipping to Ireland cost?");
  await page.sees("user", "How much does shipping to Ireland cost?");
  const answer = await page.sees("agent", "4.50");
  assert.match(answer.text, /Ireland/);
  await until(() => page.message.getByText("Shipping").count(), "the source of the answer");
});

test("an honest answer where the documents say nothing", async ({ tab }) => {
  const page = await (await tab()).load();
  await page.openPanel();
  await page.say("Which quarterback won the championship in 1987?");
  const answer = await until(async () => (await page.said("agent")).find((m) => m.state === "done" && /(don.t|do not|couldn.t|could not|no) /i.test(m.text)),
    async () => `an honest answer among ${JSON.stringify(await page.conversation())}`);
  assert.doesNotMatch(answer.text, /4\.50|Guji/);
});

test("a prefetched page view costs the server one config request and no more", async ({ tab }) => {
  const page = await (await tab()).load();
  await until(() => page.requests.some((r) => r.url.includes("panel-")), "the panel bundle, fetched on idle");
  const api = page.requests.filter((r) => r.url.includes("/api/"));
  assert.deepEqual(api.map((r) => `${r.method} ${new URL(r.url).pathname}`), ["GET /api/v1/widget/config"]);
});

test("the panel and the launcher answer to the three documented addresses", async ({ server, site }) => {
  for (const path of ["/widget/v1/karta.js", "/v1.js", "/embed.js"]) {
    const answer = await fetch(server.http + path, { headers: { origin: site.origin } });
    assert.equal(answer.status, 200, path);
    assert.match(answer.headers.get("content-type"), /javascript/);
    assert.match(answer.headers.get("cross-origin-resource-policy") ?? "", /cross-origin/);
    assert.equal(answer.headers.get("access-control-allow-origin"), "*");
    assert.ok(answer.headers.get("etag"), `${path} has an ETag`);
  }
});
