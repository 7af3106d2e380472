import { assert, test, until } from "../harness.mjs";

test("an answer that arrives while the panel is closed is counted on the badge, and opening clears it", { model: true }, async ({ tab, model }) => {
  const page = await (await tab()).load();
  await page.listen();
  await page.openPanel();
  model.hold();
  await page.say("Take your time");
  const call = await model.nextCall();
  await page.close.click();
  await page.panel.waitFor({ state: "hidden" });
  assert.ok(!(await page.badge.isVisible()), "no badge yet");
  call.write("Here I am.");
  call.end();
  await page.event("unread", (e) => e.count === 1);
  await until(() => page.badge.isVisible(), "the badge");
  assert.equal((await page.badge.textContent()).trim(), "1");
  await page.launcher.click();
  await page.panel.waitFor();
  await page.event("unread", (e) => e.count === 0);
  await until(async () => !(await page.badge.isVisible()), "the badge to go");
  assert.deepEqual((await page.events("message:received")).map((e) => e.text), ["Here I am."]);
});

test("sendMessage mounts and talks without opening the panel", { model: true }, async ({ tab }) => {
  const page = await (await tab()).load();
  await page.listen();
  await page.page.evaluate(() => window.karta("sendMessage", "Quietly"));
  await page.event("message:received", (e) => e.text === "You said: Quietly");
  assert.ok(!(await page.panel.isVisible()));
  assert.equal((await page.events("open")).length, 0);
  await page.event("unread", (e) => e.count === 1);
  assert.equal((await page.events("ready")).length, 1);
});
