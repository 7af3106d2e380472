import { assert, test, until } from "../harness.mjs";

/** [what is called, what the warning must name] */
const MISTAKES = [
  ['karta("openn")', /unknown_command.*openn/],
  ["karta()", /bad_argument/],
  ["karta(42)", /bad_argument/],
  ['karta(Symbol("x"))', /bad_argument/],
  ["karta(null)", /bad_argument/],
  ['karta("sendMessage")', /bad_argument.*sendMessage/],
  ['karta("sendMessage", "   ")', /bad_argument.*sendMessage/],
  ['karta("sendMessage", { text: "hi" })', /bad_argument.*sendMessage/],
  ['karta("sendMessage", 10n)', /bad_argument.*sendMessage/],
  ['karta("on", "no:such", () => {})', /(bad_argument|bad_value).*no:such/],
  ['karta("on", "open")', /bad_argument.*on/],
  ['karta("on", "open", "not a function")', /bad_argument.*on/],
  ['karta("identify", "u_1")', /bad_argument.*identify/],
  ['karta("init", 7)', /bad_argument.*init/],
  ['karta("escalate", 5)', /bad_argument.*escalate/],
];

/** The page with one mistake in it, made before the bundle is there. */
const rewrite = (html, url) => {
  const call = MISTAKES[url.searchParams.get("mistake")]?.[0];
  return call ? html.replace("  <script async", `  <script>${call}; karta("open");</script>\n  <script async`) : html;
};

/** Exactly one warning, and it names the mistake. */
async function warnedOnce(page, call, expected) {
  await until(() => page.complaints.length, `a warning for ${call}`);
  // A second warning would come with the same call: a later round trip through the engine proves that none follows.
  await page.page.evaluate(() => new Promise((done) => { window.karta("once", "close", done); window.karta("open"); window.karta("close"); }));
  const complaints = page.takeComplaints(/./);
  assert.equal(complaints.length, 1, `${call}: ${JSON.stringify(complaints)}`);
  assert.match(complaints[0], /^console\.warning: \[karta\]/);
  assert.match(complaints[0], expected);
}

// Fifteen page views within seconds: more than one address is allowed, and more connections than one session is.
test("each mistake before the bundle is one warning and no exception", { rewrite, env: { KARTA_LIMITS: "off" } }, async ({ tab }) => {
  let page;
  for (const [i, [call, expected]] of MISTAKES.entries()) {
    if (i % 5 === 0) page = await tab();
    await page.goto(`/?mistake=${i}`);
    await page.panel.waitFor();
    await warnedOnce(page, call, expected);
  }
});

test("each mistake in a running widget is one warning and no exception", { model: true }, async ({ tab }) => {
  const page = await (await tab()).load();
  await page.openPanel();
  for (const [call, expected] of MISTAKES) {
    await page.page.evaluate(`void ${call}`);
    await warnedOnce(page, call, expected);
  }
  await page.page.evaluate(() => window.karta("open"));
  await page.panel.waitFor();
  await page.say("Still alive?");
  await page.sees("agent", "You said: Still alive?");
});

test("a subscriber that throws or rejects starves nobody", { model: true }, async ({ tab }) => {
  const page = await (await tab()).load();
  await page.page.evaluate(() => {
    window.got = [];
    window.karta("on", "open", () => { throw new Error("mine"); });
    window.karta("on", "open", () => Promise.reject(new Error("mine too")));
    window.karta("on", "open", () => window.got.push("third"));
    window.karta("open");
  });
  await until(() => page.page.evaluate(() => window.got.length), "the third subscriber");
  await page.say("Fine?");
  await page.sees("agent", "You said: Fine?");
  const complaints = page.takeComplaints(/mine/);
  assert.ok(complaints.every((c) => c.startsWith("console.")), `logged, not thrown: ${complaints}`);
  assert.ok(complaints.length >= 1);
});

/** What docs/EMBEDDING.md promises about calls from inside a callback: this page makes one of each kind. */
function nested() {
  const log = (window.log = []);
  const late = () => log.push("late");
  const other = () => log.push("other");
  const self = () => {
    log.push("self");
    window.karta("off", "open", self);
    window.karta("off", "open", other);
    window.karta("on", "open", late);
    window.karta("close");
    log.push("self has called");
  };
  window.karta("on", "open", self);
  window.karta("on", "open", other);
  window.karta("once", "close", () => {
    log.push("close");
    window.karta("open");
    log.push("close has called");
  });
  window.karta("on", "close", () => log.push("close, second"));
  window.karta("open");
}
const NESTED = [
  // The first opening: who was there hears it, also who is unsubscribed meanwhile; who is new does not.
  "self", "self has called", "other",
  // What was called in it comes after it, and what was called in that after that.
  "close", "close has called", "close, second",
  // The second opening: the changes count.
  "late",
];

for (const [when, before] of [["a running widget", false], ["calls that waited for the bundle", true]]) {
  const rewrite = (html) => (before ? html.replace("  <script async", `  <script>(${nested})()</script>\n  <script async`) : html);
  test(`calls from inside a callback take effect once all have heard the event, in order: ${when}`, { rewrite }, async ({ tab }) => {
    const page = await (await tab()).load();
    if (!before) {
      await page.openPanel();
      await page.close.click();
      await page.panel.waitFor({ state: "hidden" });
      await page.page.evaluate(nested);
    }
    const log = () => page.page.evaluate(() => window.log);
    await until(async () => (await log()).includes("late"), async () => `the second opening; ${await log()}`);
    // A later round trip: nothing more follows.
    await page.page.evaluate(() => new Promise((done) => { window.karta("once", "close", done); window.karta("close"); }));
    assert.deepEqual(await log(), [...NESTED, "close, second"]);
  });
}

test("init after mount is ignored with one warning; a second tag is one warning and one launcher", { model: true }, async ({ tab, server }) => {
  const page = await (await tab()).load();
  await page.openPanel();
  await page.page.evaluate(() => window.karta("init", { theme: { accent: "#ff0000" } }));
  await until(() => page.complaints.length, "a warning");
  const first = page.takeComplaints(/\[karta\]/);
  assert.equal(first.length, 1, `${first}`);
  await page.page.evaluate((src) => {
    const again = document.createElement("script");
    again.src = src;
    document.body.append(again);
  }, `${server.http}/widget/v1/karta.js`);
  await until(() => page.complaints.length, "a warning about the second tag");
  assert.equal(page.takeComplaints(/\[karta\]/).length, 1);
  assert.equal(await page.page.locator("karta-root").count(), 1);
  await page.say("One of me?");
  await page.sees("agent", "You said: One of me?");
});

test("shutdown leaves the page as it was found, and open may start again", { model: true }, async ({ tab }) => {
  const page = await (await tab()).load();
  await page.openPanel();
  await page.say("Before");
  await page.sees("agent", "You said: Before");
  await page.page.evaluate(() => window.karta("shutdown"));
  await until(async () => (await page.page.locator("karta-root").count()) === 0, "the host element to go");
  await page.page.evaluate(() => window.karta("open"));
  await page.panel.waitFor();
  await page.sees("agent", "You said: Before");
  await page.page.evaluate(() => { window.karta("reset"); window.karta("open"); });
  await page.panel.waitFor();
  await page.say("A new one");
  await page.sees("agent", "You said: A new one");
  assert.ok(!(await page.conversation()).some((m) => m.text.includes("Before")), "reset forgets the conversation");
});
