import { assert, test, until } from "../harness.mjs";

test("two tabs of one visitor show one conversation, live", { model: true }, async ({ visitor, model }) => {
  const someone = await visitor();
  const first = await (await someone.tab()).load();
  await first.openPanel();
  await first.say("From the first tab");
  await first.sees("agent", "You said: From the first tab");

  const second = await (await someone.tab()).load();
  await second.reveal();
  await second.sees("agent", "You said: From the first tab");
  await second.say("From the second tab");
  await second.sees("agent", "You said: From the second tab");

  await first.sees("user", "From the second tab");
  await first.sees("agent", "You said: From the second tab");
  const [one, two] = [await first.conversation(), await second.conversation()];
  assert.deepEqual(one.map((m) => m.text), two.map((m) => m.text));
  assert.equal(model.calls.length, 2, "each question was answered once");
});

test("an answer streams into both tabs at the same time", { model: true }, async ({ visitor, model }) => {
  const someone = await visitor();
  const first = await (await someone.tab()).load();
  await first.openPanel();
  await first.say("Hello");
  await first.sees("agent", "You said: Hello");
  const second = await (await someone.tab()).load();
  await second.reveal();
  await second.sees("agent", "You said: Hello");
  model.hold();
  const before = model.calls.length;
  await first.say("Slowly, please");
  const call = await until(() => model.calls[before], "the model call");
  call.write("Step by ");
  for (const tab of [first, second]) await tab.sees("agent", "Step by", ["streaming"]);
  call.write("step.");
  call.end();
  for (const tab of [first, second]) await tab.sees("agent", "Step by step.", ["done"]);
});
