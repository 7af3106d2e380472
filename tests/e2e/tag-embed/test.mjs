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
  // Not the visitor's own words, and not the answer's.
  const sources = page.page.locator("karta-root [data-role=agent] .sources .source");
  await until(async () => (await sources.allTextContents()).some((title) => title.includes("Shipping")), async () => `the source of the answer among ${await sources.allTextContents()}`);
});

test("an honest answer where the documents say nothing, and the offer of a person, whom the page is told of", async ({ tab }) => {
  const page = await (await tab()).load();
  await page.listen();
  await page.openPanel();
  await page.say("Which quarterback won the championship in 1987?");
  const answer = await until(async () => (await page.said("agent")).find((m) => m.state === "done" && /(don.t|do not|couldn.t|could not|no) /i.test(m.text)),
    async () => `an honest answer among ${JSON.stringify(await page.conversation())}`);
  assert.doesNotMatch(answer.text, /4\.50|Guji/);

  assert.equal((await page.events("escalate")).length, 0, "not before the visitor wants it");
  await page.panel.getByRole("button", { name: "Talk to a person" }).click();
  const { context } = await page.event("escalate");
  assert.deepEqual(context.transcript.filter((line) => line.role === "user").map((line) => line.text), ["Which quarterback won the championship in 1987?"]);
  assert.equal(context.sessionId, (await page.events("session:started"))[0].sessionId);
});

/** A visitor who saves data; the page notes when the pointer or the focus first came to the button. */
const saving = () => {
  Object.defineProperty(NetworkInformation.prototype, "saveData", { get: () => true });
  const near = (event) => { if (event.target.localName === "karta-root") window.e2eNear ??= performance.now(); };
  for (const type of ["pointerover", "focusin"]) addEventListener(type, near, true);
};

for (const [what, come] of [
  ["pointer", (page) => page.launcher.hover()],
  ["keyboard's focus", (page) => page.page.keyboard.press("Tab")],
]) {
  test(`where the visitor saves data, the panel is fetched when the ${what} comes to the button, and not before`, async ({ tab }) => {
    const page = await (await tab({ before: saving })).load();
    // Asked for after the loader had its chance to ask: where it did, its idle moment comes first.
    await page.page.evaluate(() => new Promise((done) => { requestIdleCallback(done, { timeout: 4000 }); }));
    assert.ok(!page.requests.some((r) => r.url.includes("panel-")), "nothing on idle");
    await come(page);
    const asked = () => page.page.evaluate(() => performance.getEntriesByType("resource").filter((entry) => /panel-.*wasm/.test(entry.name)).map((entry) => entry.startTime - window.e2eNear));
    await until(async () => (await asked()).length, "the panel bundle");
    assert.ok((await asked()).every((after) => after >= 0), `${await asked()} ms after it came near`);
    assert.equal(await page.panel.isVisible(), false, "near is not yet open");
  });
}

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
