// A bug of ours must not become the page's: a trap ends one instance of the engine, and a fresh one resumes the session.
// The trap is made by a clock that throws in the middle of our code.
import { assert, test, until } from "../harness.mjs";
import { backend } from "../harness/backend.mjs";

const crash = (page) => page.page.evaluate(() => {
  const real = performance.now;
  performance.now = () => {
    performance.now = real;
    throw new Error("a trap");
  };
  // What an instance that is gone had set is refused when it fires; only what the crash itself sets can bring one back.
  window.timersWaiting?.clear();
  window.karta("open");
});

test("a crash is logged once, the conversation comes back, and subscribers stay", async ({ tab }) => {
  const page = await (await tab()).load();
  await page.page.evaluate(() => {
    window.received = [];
    window.karta("on", "message:received", (e) => window.received.push(e.text));
  });
  await page.openPanel();
  await page.say("How much does shipping to Ireland cost?");
  await page.sees("agent", "4.50");
  await crash(page);
  assert.equal(page.takeComplaints(/internal: the widget restarts/).length, 1);
  await page.sees("agent", "4.50");
  assert.equal(await page.page.locator("karta-root").count(), 1);
  const before = (await page.page.evaluate(() => window.received)).length;
  await page.say("How long does it take?");
  await until(async () => (await page.page.evaluate(() => window.received)).length > before, "the event after the crash");
});

/** Runs in the page before anything else: knows which timers wait. */
function watchTimers() {
  const waiting = new Set();
  Object.defineProperty(window, "timersWaiting", { value: waiting });
  const { setTimeout, clearTimeout } = window;
  window.setTimeout = (run, ...rest) => {
    const id = setTimeout((...args) => {
      waiting.delete(id);
      run(...args);
    }, ...rest);
    waiting.add(id);
    return id;
  };
  window.clearTimeout = (id) => {
    waiting.delete(id);
    clearTimeout(id);
  };
}

test("a crash does not cost a verified user the login, though the user token works once", { model: true }, async (world) => {
  const { userToken } = await backend(world);
  const tab = await (await world.tab()).load();
  await tab.listen();
  await tab.page.evaluate((userToken) => window.karta("identify", { userToken }), await userToken("ada"));
  await tab.openPanel();
  await tab.say("My order is 1815");
  await tab.sees("agent", "You said: My order is 1815");
  for (const words of ["Are you there?", "And now?"]) {
    await crash(tab);
    assert.equal(tab.takeComplaints(/internal: the widget restarts/).length, 1);
    await tab.sees("agent", "You said: My order is 1815");
    await tab.say(words);
    await tab.sees("agent", `You said: ${words}`);
  }
  assert.deepEqual(await tab.events("error"), []);
  assert.equal(tab.posts("/auth/exchange").length, 1);
  assert.equal(tab.posts("/auth/guest").length, 0);
  const kept = await tab.page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }));
  assert.ok(!kept.includes("eyJ"), "no token is in storage");
});

/** Who the page says the visitor is: by the tag, by a call, with the settings. */
const SAYINGS = {
  tag: { rewrite: (html, who) => html.replace("data-embed-key", `data-user-id="${who.userId}" data-identity-token="${who.identityToken}" data-embed-key`), say: () => {} },
  identify: { rewrite: (html) => html, say: (who) => window.karta("identify", who) },
  init: { rewrite: (html) => html, say: (who) => window.karta("init", who) },
};
for (const [way, { rewrite, say }] of Object.entries(SAYINGS)) {
  const ada = {};
  test(`who has logged out is not brought back by a crash: said by ${way}`, { model: true, rewrite: (html) => rewrite(html, ada) }, async (world) => {
    const { proof } = await backend(world);
    Object.assign(ada, { userId: "ada", identityToken: proof("ada") });
    const tab = await (await world.tab()).load();
    await tab.page.evaluate(say, ada);
    await tab.openPanel();
    await tab.say("My order is 1815");
    await tab.sees("agent", "You said: My order is 1815");
    await tab.page.evaluate(() => {
      window.karta("reset");
      // A wrong call in between, which ends no subscription and nothing else either.
      window.karta("off");
      window.karta("open");
    });
    await tab.say("Who am I?");
    await tab.sees("agent", "You said: Who am I?");
    assert.equal(tab.takeComplaints(/karta\("off"\)/).length, 1);
    assert.equal(tab.posts("/auth/exchange").length, 1);
    await crash(tab);
    assert.equal(tab.takeComplaints(/internal: the widget restarts/).length, 1);
    await tab.sees("agent", "You said: Who am I?");
    await tab.say("And now?");
    await tab.sees("agent", "You said: And now?");
    assert.equal(tab.posts("/auth/exchange").length, 1, "nobody was logged in again");
    assert.ok(!JSON.stringify(await tab.conversation()).includes("1815"));
  });
}

test("who has unsubscribed stays so over a crash, however often", async ({ tab }) => {
  const page = await (await tab()).load();
  // The engine takes them at once; before it is there, no more than a thousand calls wait.
  await page.openPanel();
  await page.page.evaluate(() => {
    window.heard = [];
    const [left, stays] = [() => window.heard.push("left"), () => window.heard.push("stays")];
    // As an app with routes does: more often than calls are kept.
    for (let i = 0; i < 1500; i += 1) {
      window.karta("on", "message:sent", left);
      window.karta("off", "message:sent", left);
    }
    window.karta("on", "message:sent", stays);
  });
  await crash(page);
  assert.equal(page.takeComplaints(/internal: the widget restarts/).length, 1);
  await page.panel.waitFor();
  await page.say("Are you there?");
  await until(async () => (await page.page.evaluate(() => window.heard)).length, "the subscriber");
  assert.deepEqual(await page.page.evaluate(() => window.heard), ["stays"]);
});

test("after three crashes in a minute the button is left, and a press tries again", async ({ tab }) => {
  const page = await (await tab({ before: watchTimers })).load();
  await page.openPanel();
  await page.say("How much does shipping to Ireland cost?");
  await page.sees("agent", "4.50");
  for (let i = 0; i < 3; i++) {
    await page.page.locator('karta-root [part~="panel"]').waitFor();
    await crash(page);
  }
  await page.launcher.waitFor();
  await until(() => page.page.evaluate(() => window.timersWaiting.size === 0), "no timer of the crash waits");
  await page.launcher.hover();
  await page.page.waitForLoadState("networkidle");
  assert.equal(await page.page.locator('karta-root [part~="panel"]').count(), 0, "nothing starts by itself");
  assert.equal(await page.page.locator("karta-root").count(), 1);
  await page.launcher.click();
  await page.sees("agent", "4.50");
  await page.say("And to Spain?");
  await until(async () => (await page.said("user")).length === 2, "the second question");
  assert.equal(page.takeComplaints(/internal: the widget restarts/).length, 3);
});
