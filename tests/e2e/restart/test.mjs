import { assert, test, until } from "../harness.mjs";

const withoutWebrtc = () => { delete window.RTCPeerConnection; };

for (const transport of ["data channel", "server-sent events"]) {
  const channel = transport === "data channel";

  test(`kill -9 in the middle of an answer loses and doubles nothing (${transport})`, { model: true, network: true }, async ({ tab, server, model }) => {
    const page = await (await tab(channel ? {} : { before: withoutWebrtc })).load();
    await page.listen();
    await page.openPanel();
    await page.say("First question");
    await page.sees("agent", "You said: First question");
    if (channel) await page.realtime();

    model.hold();
    const calls = model.calls.length;
    await page.say("Second question");
    const cut = await nextAfter(model, calls);
    cut.write("This half will be ");
    await page.sees("agent", "This half will be", ["streaming"]);
    await server.kill();
    // Typed while nobody listens.
    await page.say("Third question");
    await page.sees("user", "Third question", ["sending"]);

    await server.start();
    const again = await nextAfter(model, calls + 1);
    again.write("The whole ");
    // On the channel the widget learns of the death by a ping that stays unanswered.
    await page.sees("agent", "The whole", ["streaming"], 30_000);
    again.write("answer.");
    again.end();
    await page.sees("agent", "The whole answer.", ["done"]);
    const third = await nextAfter(model, calls + 2);
    third.write("And the third.");
    third.end();
    await page.sees("user", "Third question", ["sent"]);
    await page.sees("agent", "And the third.", ["done"]);

    await until(async () => (await page.log()).at(-1).type === "session.status_idle", "the end of the last turn");
    const log = await page.log();
    const said = (type) => log.filter((e) => e.type === type).map((e) => e.text);
    assert.deepEqual(said("user.message"), ["First question", "Second question", "Third question"]);
    assert.deepEqual(said("agent.message"), ["You said: First question", "The whole answer.", "And the third."]);
    assert.deepEqual(log.map((e) => e.seq), log.map((_, i) => i + 1), "seq is dense");
    // What is on screen is the log; the half answer has left. (An answer that was on screen before the third question keeps its place.)
    const greeting = "Hello! Ask me anything.";
    await until(async () => {
      const [users, agents] = [await page.said("user"), await page.said("agent")];
      return same(users, said("user.message")) && same(agents, [greeting, ...said("agent.message")]);
    }, async () => `the screen to equal the log: ${JSON.stringify(await page.conversation())} / ${JSON.stringify(log)}`);
    assert.equal(model.calls.length, calls + 3, "each turn was run once, and the one that was cut once more");
    if (channel) await until(async () => (await page.probe()).channels >= 2, "a new data channel after the restart");
  });
}

const same = (items, texts) => items.length === texts.length && items.every((m, i) => m.text.includes(texts[i]) && ["sent", "done"].includes(m.state));

async function nextAfter(model, count) {
  return until(() => model.calls[count], `model call ${count + 1}`);
}

test("a graceful restart (SIGTERM) is as harmless", { model: true, network: true }, async ({ tab, server }) => {
  const page = await (await tab()).load();
  await page.openPanel();
  await page.say("Before");
  await page.sees("agent", "You said: Before");
  await server.stop();
  await server.start();
  await page.say("After");
  await page.sees("agent", "You said: After");
  assert.equal((await page.said("user")).length, 2);
});
