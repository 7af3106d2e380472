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
    await page.sees("agent", "The whole", ["streaming"]);
    again.write("answer.");
    again.end();
    await page.sees("agent", "The whole answer.", ["done"]);
    model.answers("And the third.");
    for (const call of model.calls.slice(calls + 2)) if (!call.closed) { call.write("And the third."); call.end(); }
    await page.sees("user", "Third question", ["sent"]);

    await until(async () => (await page.log()).at(-1).type === "session.status_idle", "the end of the last turn");
    const log = await page.log();
    assert.deepEqual(log.map((e) => e.seq), log.map((_, i) => i + 1), "seq is dense");
    assert.deepEqual(log.filter((e) => e.type === "user.message").map((e) => e.text), ["First question", "Second question", "Third question"]);
    assert.equal(log.filter((e) => e.type === "agent.message" && e.text === "The whole answer.").length, 1);
    assert.ok(!log.some((e) => e.text?.includes("This half will be")), "the half answer was never committed");

    // What is on screen is the log, in its order.
    await until(async () => {
      const screen = (await page.conversation()).filter((m) => m.role === "user" || log.some((e) => e.type === "agent.message" && m.text.includes(e.text)));
      const durable = log.filter((e) => e.text && ["user.message", "agent.message"].includes(e.type));
      return screen.length === durable.length && screen.every((m, i) => m.text.includes(durable[i].text));
    }, async () => `the screen to equal the log: ${JSON.stringify(await page.conversation())} / ${JSON.stringify(log)}`);
    assert.ok(!(await page.conversation()).some((m) => m.text.includes("This half will be")), "the half answer left the screen");
    if (channel) await until(async () => (await page.probe()).channels >= 2, "a new data channel after the restart");
  });
}

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
