import { assert, test, until } from "../harness.mjs";

const options = { model: true };

test("the stub page: calls before the bundle take effect, in order", options, async ({ tab, agent, server }) => {
  const page = await (await tab()).load("/");
  await page.page.locator("#help").click();
  await page.panel.waitFor();
  await page.say("Hello Beans");
  await page.sees("agent", "You said: Hello Beans");
  await until(() => page.page.evaluate(() => analytics.seen.length), "the page's analytics");
  assert.deepEqual(await page.page.evaluate(() => analytics.seen), [["agent_reply", { text: "You said: Hello Beans" }]]);
  // identify came before the session: a label, and never more than that.
  const guest = JSON.parse(page.posts("/auth/guest")[0].body);
  assert.equal(guest.user_label, "u_123");
  assert.equal(page.posts("/auth/exchange").length, 0);
  const [conversation] = JSON.parse(await server.cli("conversations", "list", "--json"));
  assert.equal(conversation.label, "u_123");
  assert.equal(conversation.verified, false);
  assert.deepEqual(conversation.attributes, { plan: "pro" }, "the owner sees what the page said");
  // The key is pinned to an agent, which wins over the project that the page names.
  assert.equal(guest.agent_id, "coffeeco/support-bot");
  assert.ok(agent.startsWith("a_"));
});

test("the init page: configured from JavaScript alone", options, async ({ tab }) => {
  const page = await (await tab()).load("/init.html");
  assert.equal(await page.launcher.evaluate((e) => getComputedStyle(e).backgroundColor), "rgb(212, 255, 79)");
  await page.openPanel();
  await until(() => page.header.getByText("Beans").count(), "the agent's name from init");
  await page.say("Hello init");
  await page.sees("agent", "You said: Hello init");
});

test("the event subscriptions, and off", options, async ({ tab }) => {
  const page = await tab();
  const logs = [];
  page.page.on("console", (m) => logs.push(m.text()));
  await page.load("/events.html");
  await page.openPanel();
  await page.say("Hello events");
  await page.sees("agent", "You said: Hello events");
  await page.page.evaluate(() => { karta("close"); karta("sendMessage", "While closed"); });
  await until(() => page.page.evaluate(() => seen.some(([what, count]) => what === "badge" && count === 1)), "an unread answer");
  await page.page.evaluate(() => { karta("open"); karta("escalate", { reason: "refund", context: { order: 17 } }); });
  const [, context] = await until(() => page.page.evaluate(() => seen.find(([what]) => what === "live chat")), "the escalation");
  assert.equal(context.order, "17");
  assert.ok(context.sessionId);
  assert.ok(context.transcript.some((line) => line.role === "user" && line.text === "While closed"), JSON.stringify(context));
  assert.ok(await page.page.evaluate(() => seen.some(([what, count]) => what === "badge" && count === 0)), "0 on open");
  assert.ok(!logs.includes("widget ready"), "unsubscribed before it was ready");
});
