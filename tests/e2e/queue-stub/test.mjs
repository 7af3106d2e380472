import { assert, test, until } from "../harness.mjs";

const texts = (items) => items.map((m) => m.text);

test("calls made before the bundle are replayed in order, each exactly once", { model: true }, async ({ tab }) => {
  const page = await (await tab()).goto("/");
  await until(async () => (await page.said("user")).filter((m) => m.state === "sent").length === 3, async () => `three sent messages: ${JSON.stringify(await page.conversation())}`);
  const log = await page.page.evaluate(() => window.log);
  const sent = log.filter((line) => line.startsWith("message:sent"));
  assert.deepEqual(sent, ["message:sent first", "message:sent second", "message:sent third"]);
  assert.equal(log.filter((line) => line === "ready").length, 1);
  assert.ok(log.indexOf("message:sent first") < log.indexOf("open"), `open comes after the first message: ${log}`);
  assert.ok(log.indexOf("open") < log.indexOf("message:sent second"), `and before the second: ${log}`);
  assert.equal(log.indexOf("close") > log.indexOf("message:sent third"), true, `close comes last: ${log}`);
  assert.deepEqual((await page.log()).filter((e) => e.type === "user.message").map((e) => e.text), ["first", "second", "third"]);
});

test("a stub that the page has kept goes on working, in order", { model: true }, async ({ tab }) => {
  const page = await (await tab()).goto("/");
  await until(async () => (await page.page.evaluate(() => window.log)).includes("close"), "the replay");
  await page.page.evaluate(() => { window.kept("sendMessage", "fourth"); window.karta("sendMessage", "fifth"); window.kept("sendMessage", "sixth"); });
  await until(async () => (await page.said("user")).length === 6, "six messages");
  const users = await page.page.evaluate(() => window.log.filter((l) => l.startsWith("message:sent")).map((l) => l.slice(13)));
  assert.deepEqual(users, ["first", "second", "third", "fourth", "fifth", "sixth"]);
});

for (const [order, attribute] of [["as it happens", "async"], ["the script runs first", ""], ["the stub and its calls come first", "defer"]]) {
  const rewrite = (html) => html.replace("<script async", `<script ${attribute}`);
  test(`a stub that comes after the tag loses nothing, however the two race: ${order}`, { model: true, rewrite }, async ({ tab }) => {
    const page = await (await tab()).goto("/after.html");
    await until(async () => (await page.said("user")).length === 2, async () => `two messages: ${JSON.stringify(await page.conversation())}`);
    assert.deepEqual(await page.page.evaluate(() => window.log), ["one", "two"]);
    assert.deepEqual(texts(await page.said("user")).map((t) => t.match(/one|two/)[0]), ["one", "two"]);
  });
}

test("of more than 1,000 calls that wait the first 1,000 count, and one warning says so", async ({ tab }) => {
  const page = await (await tab()).load("/loop.html");
  await until(() => page.complaints.length, "the warning");
  await page.openPanel();
  const log = () => page.page.evaluate(() => window.log);
  await until(async () => (await log()).length, "the event");
  assert.deepEqual(await log(), [1, 1000]);
  const warnings = page.takeComplaints(/./);
  assert.equal(warnings.length, 1, `${warnings}`);
  assert.match(warnings[0], /^console\.warning: \[karta\] queue_full: more than 1,000 calls wait/);
});

test("init by a call configures the widget", { model: true }, async ({ tab }) => {
  const page = await (await tab()).load("/init.html");
  const colour = await page.launcher.evaluate((e) => getComputedStyle(e).backgroundColor);
  assert.equal(colour, "rgb(212, 255, 79)");
  await page.openPanel();
  await until(() => page.header.getByText("Beans").count(), "the agent's name from init");
  await page.say("hello");
  await page.sees("agent", "You said: hello");
});
