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

test("until the model writes the agent is seen to type", { model: true }, async ({ tab, model }) => {
  const page = await (await tab()).load();
  await page.openPanel();
  const typing = page.panel.locator(".typing");
  assert.equal(await typing.isVisible(), false, "nobody has asked anything");
  model.hold();
  await page.say("Think first");
  const call = await model.nextCall();
  await until(() => typing.isVisible(), "the sign that the agent types");
  assert.equal((await page.said("agent")).some((m) => m.state === "streaming"), false);
  call.write("Done ");
  await page.sees("agent", "Done", ["streaming"]);
  assert.equal(await typing.isVisible(), false, "its words say it better");
  call.write("thinking.");
  call.end();
  await page.sees("agent", "Done thinking.", ["done"]);
  assert.equal(await typing.isVisible(), false);
});

test("Stop ends an answer where it is, on screen and at the model", { model: true }, async ({ tab, model }) => {
  const page = await (await tab()).load();
  await page.openPanel();
  model.hold();
  await page.say("Tell me everything");
  const call = await model.nextCall();
  call.write("It all began ");
  await page.sees("agent", "It all began", ["streaming"]);
  await page.panel.getByRole("button", { name: "Stop" }).click();
  await page.sees("agent", "It all began", ["interrupted"]);
  await until(() => call.closed, "the end of the model's request");
  // The same button sends again.
  model.answers("Gladly.");
  await page.type("Only the end, please");
  await page.send.click();
  await page.sees("agent", "Gladly.");
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
  const line = /method=DELETE path="[^"]*\/connect\/\{connection_id\}".*/;
  await until(() => line.test(server.log()), "DELETE of the connection");
  assert.match(line.exec(server.log())[0], / status=200 /);
});
