import { assert, test } from "../harness.mjs";

const withoutWebrtc = () => { delete window.RTCPeerConnection; delete window.webkitRTCPeerConnection; };

test("without RTCPeerConnection the chat runs over server-sent events and POST", { model: true }, async ({ tab, model }) => {
  const page = await (await tab({ before: withoutWebrtc })).load();
  assert.equal(await page.page.evaluate(() => typeof RTCPeerConnection), "undefined");
  await page.listen();
  await page.openPanel();
  model.hold();
  await page.say("Can you hear me?");
  const call = await model.nextCall();
  call.write("Loud ");
  await page.sees("agent", "Loud", ["streaming"]);
  call.write("and clear.");
  call.end();
  await page.sees("agent", "Loud and clear.");
  assert.equal(page.posts("/events").length, 1);
  assert.equal(page.posts("/connect").length, 0);
  assert.equal((await page.probe()).sent.length, 0);
  assert.ok(page.requests.some((r) => r.url.includes("/events/stream")), "the answer came by the event stream");
  const events = await page.events("connection");
  assert.ok(!events.some((e) => e.state === "realtime"));
  assert.deepEqual((await page.events("error")), []);
});

test("ten messages in a row keep their order and their number", { model: true }, async ({ tab, model }) => {
  const page = await (await tab({ before: withoutWebrtc })).load();
  await page.openPanel();
  await page.page.evaluate(() => { for (let i = 0; i < 10; i += 1) window.karta("sendMessage", `number ${i}`); });
  await page.sees("user", "number 9");
  const users = (await page.said("user")).map((m) => m.text.match(/number \d/)[0]);
  assert.deepEqual(users, Array.from({ length: 10 }, (_, i) => `number ${i}`));
});
