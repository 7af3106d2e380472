import { assert, test, until } from "../harness.mjs";

async function works(page) {
  await page.openPanel();
  await page.say("Hello in there");
  await page.sees("agent", "You said: Hello in there");
}

test("a form with the id karta", { model: true }, async ({ tab }) => {
  const page = await (await tab()).load("/form.html");
  await works(page);
  assert.equal(await page.page.evaluate(() => typeof window.karta), "function");
});

test("the hardened stub beside a form with the id karta: calls from before, from the middle, and from a kept stub", { model: true }, async ({ tab }) => {
  const page = await (await tab()).load("/hardened.html");
  await works(page);
  await page.page.evaluate(() => window.kept("sendMessage", "three"));
  await page.sees("agent", "You said: three");
  assert.deepEqual(await page.page.evaluate(() => window.log), ["one", "two", "Hello in there", "three"]);
});

test("an object of another script, with a getter that throws", { model: true }, async ({ tab }) => {
  await works(await (await tab()).load("/object.html"));
});

test("a frozen global: one warning, and the launcher still works", { model: true }, async ({ tab }) => {
  const page = await (await tab()).load("/frozen.html");
  await works(page);
  assert.equal(page.takeComplaints(/\[karta\] global_taken/).length, 1);
});

test("both globals taken, one frozen and one with a getter that throws: one warning, and the launcher still works", { model: true }, async ({ tab }) => {
  const page = await (await tab()).load("/kataven.html");
  await works(page);
  assert.equal(page.takeComplaints(/\[karta\] global_taken: window\.Kataven/).length, 1);
  assert.equal(await page.page.evaluate(() => typeof window.karta), "function");
});

test("a polyfill in the place of navigator.connection that is no event target", { model: true }, async ({ tab }) => {
  const before = () => Object.defineProperty(Navigator.prototype, "connection", { get: () => ({ effectiveType: "4g" }), configurable: true });
  await works(await (await tab({ before })).load("/object.html"));
});

test("extended prototypes and a style sheet that hates us", { model: true }, async ({ tab }) => {
  const page = await (await tab()).load("/prototypes.html");
  await works(page);
  const box = await page.launcher.boundingBox();
  const view = page.page.viewportSize();
  assert.ok(box.width >= 40 && box.width <= 90, `the launcher keeps its size: ${JSON.stringify(box)}`);
  assert.ok(box.x + box.width <= view.width && box.x > view.width / 2, `and its corner: ${JSON.stringify(box)}`);
});

test("a fetch of the page's own that throws, or settles with anything", { model: true, waits: true }, async ({ tab }) => {
  const page = await (await tab({
    before: () => {
      const real = window.fetch;
      // Each costs a pause that doubles, until one call of the kind has worked.
      const odd = { guest: [() => Promise.reject("a text"), () => { throw new Error("mine"); }, () => null], sessions: [() => Promise.resolve({ ok: true }), () => Promise.resolve(undefined)] };
      window.fetch = (input, ...more) => {
        const kind = /\/(guest|sessions)$/.exec(input.url ?? input)?.[1];
        return odd[kind]?.length ? odd[kind].shift()() : real(input, ...more);
      };
      Object.defineProperty(window, "e2eOdd", { get: () => odd.guest.length + odd.sessions.length });
    },
  })).load("/form.html");
  await page.openPanel();
  await page.say("Hello in there");
  await page.sees("agent", "You said: Hello in there", undefined, 40_000);
  assert.equal(await page.page.evaluate(() => window.e2eOdd), 0, "each was tried");
});

test("arguments with getters, proxies and cycles cost a warning each and break nothing", { model: true }, async ({ tab }) => {
  const page = await (await tab()).load("/form.html");
  await works(page);
  await page.page.evaluate(() => {
    const cycle = { userId: "u_1" };
    cycle.attributes = { self: cycle };
    window.karta("identify", cycle);
    window.karta("escalate", { get reason() { throw new Error("mine"); } });
    window.karta("escalate", new Proxy({}, { get() { throw new Error("proxy"); }, ownKeys() { throw new Error("proxy"); }, getOwnPropertyDescriptor() { throw new Error("proxy"); } }));
    window.karta("escalate", JSON.parse('{"context": {"__proto__": {"polluted": true}, "plan": "pro"}}'));
  });
  await page.say("Still here?");
  await page.sees("agent", "You said: Still here?");
  assert.equal(await page.page.evaluate(() => ({}).polluted), undefined);
  const warnings = page.takeComplaints(/\[karta\]/);
  assert.equal(warnings.length, 3, `${warnings}`);
  assert.ok(warnings.every((c) => c.startsWith("console.warning")));
});

test("what the agent and the visitor write is text, never markup", { model: true }, async ({ tab, model }) => {
  const nasty = '<img src=x onerror="window.hacked=1"><script>window.hacked=2</script>[click](javascript:window.hacked=3)';
  model.answers(nasty);
  const page = await (await tab()).load("/form.html");
  await page.openPanel();
  await page.say(nasty);
  await page.sees("user", "<img src=x");
  await page.sees("agent", "<img src=x");
  assert.equal(await page.messages.locator("img, script").count(), 0);
  assert.equal(await page.messages.locator('a[href^="javascript"]').count(), 0);
  assert.equal(await page.page.evaluate(() => window.hacked), undefined);
});
