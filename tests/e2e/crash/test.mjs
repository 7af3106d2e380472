// A bug of ours must not become the page's: a trap ends one instance of the engine, and a fresh one resumes the session.
// The trap is made by a clock that throws in the middle of our code.
import { assert, test, until } from "../harness.mjs";

const crash = (page) => page.page.evaluate(() => {
  const real = performance.now;
  performance.now = () => {
    performance.now = real;
    throw new Error("a trap");
  };
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

test("three crashes in a minute end it quietly", async ({ tab }) => {
  const page = await (await tab()).load();
  await page.openPanel();
  await page.say("How much does shipping to Ireland cost?");
  await page.sees("agent", "4.50");
  for (let i = 0; i < 3; i++) {
    await page.page.locator('karta-root [part~="panel"]').waitFor();
    await crash(page);
  }
  await page.page.waitForTimeout(1000);
  assert.equal(await page.page.locator("karta-root").count(), 0);
  assert.equal(page.takeComplaints(/internal: the widget restarts/).length, 3);
});
