import { assert, test, until } from "../harness.mjs";

test("once the data channel is open, messages go and answers come by it alone", { model: true }, async ({ tab, model }) => {
  const page = await (await tab()).load();
  await page.listen();
  await page.openPanel();
  await page.realtime();
  await page.event("connection", (e) => e.state === "realtime");

  model.answers("It went by the channel, word for word.");
  const posts = page.posts("/events").length;
  await page.say("Which way does this go?");
  await page.sees("agent", "It went by the channel, word for word.");

  const { sent, received, channels } = await page.probe();
  assert.equal(channels, 1, "one data channel was opened");
  assert.equal(sent.filter((f) => f.includes("Which way does this go?")).length, 1, "the question is one frame on the channel");
  assert.equal(page.posts("/events").length, posts, "and no POST");
  const deltas = received.map((f) => JSON.parse(f)).filter((e) => e.type === "agent.message" && e.delta);
  assert.ok(deltas.length > 1, "the answer was streamed in several frames");
  assert.equal(received.map((f) => JSON.parse(f)).filter((e) => e.type === "agent.message" && !e.delta && e.text === "It went by the channel, word for word.").length, 1);
});

test("text appears while the model still writes", { model: true }, async ({ tab, model }) => {
  const page = await (await tab()).load();
  await page.openPanel();
  model.hold();
  await page.say("Tell me slowly");
  const call = await model.nextCall();
  call.write("One ");
  await page.sees("agent", "One", ["streaming"]);
  call.write("two ");
  await page.sees("agent", "One two", ["streaming"]);
  call.write("three.");
  call.end();
  const done = await page.sees("agent", "One two three.", ["done"]);
  assert.ok(done);
});

test("a message typed before WebRTC is up goes by HTTPS at once, and is shown once", { model: true }, async ({ tab }) => {
  const page = await tab();
  // The offer never gets an answer: WebRTC stays on its way up.
  await page.page.route("**/connect", () => {});
  await page.load();
  await page.openPanel();
  await page.say("No waiting");
  await page.sees("agent", "You said: No waiting");
  assert.equal(page.posts("/events").length, 1);
  assert.equal((await page.said("user")).length, 1);
});

test("the offer already carries the audio section that voice will use, and asks for no microphone", { model: true }, async ({ tab }) => {
  const page = await (await tab()).load();
  await page.page.evaluate(() => {
    window.e2eMicrophone = 0;
    const ask = navigator.mediaDevices?.getUserMedia;
    if (ask) navigator.mediaDevices.getUserMedia = function (...args) { window.e2eMicrophone += 1; return ask.apply(this, args); };
  });
  await page.openPanel();
  await page.realtime();
  const offer = page.posts("/connect")[0].body;
  assert.match(offer, /^m=audio /m);
  assert.match(offer, /^a=sendrecv/m);
  assert.match(offer, /^m=application /m);
  assert.equal(await page.page.evaluate(() => window.e2eMicrophone), 0);
});

test("the channel is given up on pagehide", { model: true }, async ({ tab, server }) => {
  const page = await (await tab()).load();
  await page.openPanel();
  await page.realtime();
  await page.page.goto("about:blank");
  // The page is gone, so only the server can tell.
  await until(() => /method=DELETE path="[^"]*\/connect\/\{connection_id\}"/.test(server.log()), "DELETE of the connection");
});
