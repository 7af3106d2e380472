import { assert, test, until } from "../harness.mjs";

async function talk(page) {
  await page.openPanel();
  await page.say("Remember the word heron");
  await page.sees("agent", "You said: Remember the word heron");
}

for (const [name, path] of [["a reload", "/"], ["another page of the site", "/other.html"]]) {
  test(`${name} resumes the conversation`, { model: true }, async ({ tab, model }) => {
    const page = await (await tab()).load();
    await talk(page);
    const before = (await page.log()).length;
    await page.load(path);
    await page.listen();
    await page.reveal();
    await page.sees("agent", "You said: Remember the word heron");
    assert.equal((await page.said("user")).length, 1, "the old message is there once");

    await page.say("And now?");
    await page.sees("agent", "You said: And now?");
    const last = model.calls.at(-1).messages;
    assert.ok(last.some((m) => m.content.includes("heron")), "the model is given the history");
    const log = await page.log();
    assert.ok(log.length > before, "the same session went on");
    assert.deepEqual(log.map((e) => e.seq), log.map((_, i) => i + 1), "seq is dense");
  });
}

test("a reload in the middle of an answer goes on with it", { model: true }, async ({ tab, model }) => {
  const page = await (await tab()).load();
  await page.openPanel();
  model.hold();
  await page.say("A long story");
  const call = await model.nextCall();
  call.write("Once upon ");
  await page.sees("agent", "Once upon", ["streaming"]);
  await page.load();
  await page.reveal();
  await page.sees("agent", "Once upon", ["streaming"]);
  call.write("a time.");
  call.end();
  await page.sees("agent", "Once upon a time.", ["done"]);
  assert.equal((await page.said("agent")).filter((m) => m.text.includes("Once upon")).length, 1);
  assert.equal(model.calls.length, 1, "the turn was not run twice");
});

test("ten quick reloads leave nothing in the way of the channel", { model: true }, async ({ tab }) => {
  const page = await (await tab()).load();
  await talk(page);
  // Each page goes before it hears the server's answer, so it never learns what to say goodbye to.
  const answers = [];
  await page.page.route("**/connect", async (route) => { answers.push((await route.fetch()).status()); });
  for (let i = 1; i <= 10; i++) {
    await page.load();
    await page.reveal();
    await until(() => answers.length === i, `the server's answer to offer ${i}`);
  }
  assert.deepEqual(answers, Array(10).fill(201));
  await page.page.unroute("**/connect");
  await page.load();
  await page.reveal();
  await page.realtime();
});

test("another visitor sees nothing of it", { model: true }, async ({ tab }) => {
  const first = await (await tab()).load();
  await talk(first);
  const second = await (await tab()).load();
  await second.openPanel();
  await second.say("Hello");
  await second.sees("agent", "You said: Hello");
  assert.ok(!(await second.conversation()).some((m) => m.text.includes("heron")));
});

test("storage that is denied costs the memory, nothing else", { model: true }, async ({ tab }) => {
  const page = await tab({ before: () => Object.defineProperty(window, "localStorage", { get() { throw new DOMException("denied", "SecurityError"); } }) });
  await page.load();
  await talk(page);
});
