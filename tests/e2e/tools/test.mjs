import { signed } from "../../../fixtures/tools/signed.mjs";
import { assert, test, until } from "../harness.mjs";
import { startShop, TITLE } from "../harness/shop.mjs";

// contract.md 6: agent.tool_use, agent.tool_result, user.tool_confirmation; what a crash leaves of a turn in which a tool had acted.

const SECRET = "0123456789abcdef0123456789abcdef";
const options = { model: true, network: true, env: { KARTA_TOOL_SECRET: SECRET } };
const ASKED = `${TITLE}? order: K-1042 reason: came too late`;

const buttons = (page) => page.page.locator("karta-root .chip");
const wish = { order: "K-1042", reason: "came\ntoo late" };

/** As far as the model's wish. */
async function ask(page, model) {
  model.hold();
  await page.openPanel();
  await page.say("Please cancel K-1042, it came too late");
  const first = await model.nextCall();
  assert.equal(first.body.tools[0].function.name, "cancel_order");
  first.wants("cancel_order", wish);
}

/** The browser reports each answer of 404: the widget tried first to restart the connection, which died with the server. */
const forgetOldConnection = (page) => page.forgive(/404 \(Not Found\)/);

for (const [name, before] of [["the data channel", undefined], ["HTTPS", () => { delete window.RTCPeerConnection; }]]) {
  test(`the visitor is asked, allows it, and reads what came of it, over ${name}`, options, async (world) => {
    const owner = await startShop(world);
    const page = await (await world.tab({ before })).load();
    await page.openPanel();
    if (!before) await page.realtime();
    await page.close.click();
    await ask(page, world.model);
    await page.sees("system", ASKED);
    assert.deepEqual(await buttons(page).allTextContents(), ["Allow", "Don't allow"]);
    assert.equal(await page.page.locator("karta-root .prompts").getAttribute("aria-label"), `${TITLE}?\norder: K-1042\nreason: came too late`);
    assert.equal(owner.calls.length, 0, "nothing happens before that");
    await buttons(page).first().click();
    const second = await world.model.nextCall();
    assert.equal(owner.calls.length, 1);
    const { headers, body } = owner.calls[0];
    const signature = headers["karta-signature"];
    assert.ok(signed(SECRET, signature, body), signature);
    assert.ok(!signed(SECRET, signature, `${body} `), "of this body");
    assert.ok(!signed(SECRET.replace("0", "1"), signature, body), "with this secret");
    assert.ok(!signed(SECRET, signature, body, Date.now() / 1000 + 301), "for five minutes");
    assert.ok(!signed(SECRET, undefined, body));
    assert.deepEqual(JSON.parse(body).arguments, wish);
    assert.deepEqual(second.messages.at(-1), { role: "tool", tool_call_id: "call_1", content: '{"cancelled":true}' });
    second.write("It is cancelled.");
    second.end();
    await page.sees("agent", "It is cancelled.");
    await page.sees("system", `${TITLE} ✓`);
    assert.equal(await buttons(page).count(), 0);
    const log = await page.log();
    assert.deepEqual(log.slice(1).map((e) => `${e.type} ${e.state ?? ""}`.trim()), [
      "session.status_running", "agent.tool_use confirm", "agent.tool_use running", "agent.tool_result done", "agent.message", "session.status_idle",
    ]);
    assert.ok(!JSON.stringify(log).includes("cancelled\":true"), "what the owner's address says is not in the log");
    await owner.close();
  });
}

test("a visitor who does not allow it, by keyboard, is obeyed", options, async (world) => {
  const owner = await startShop(world);
  const page = await (await world.tab()).load();
  await ask(page, world.model);
  await page.sees("system", ASKED);
  await buttons(page).last().focus();
  await page.page.keyboard.press("Enter");
  const second = await world.model.nextCall();
  assert.match(second.messages.at(-1).content, /did not allow it/);
  second.write("Then I leave it as it is.");
  second.end();
  await page.sees("agent", "Then I leave it");
  await page.sees("system", `${TITLE} ✗`);
  assert.equal(owner.calls.length, 0);
  await owner.close();
});

test("a reload while it asks asks again", options, async (world) => {
  const owner = await startShop(world);
  const page = await (await world.tab()).load();
  await ask(page, world.model);
  await page.sees("system", ASKED);
  await page.load();
  await page.reveal();
  await page.sees("system", ASKED);
  await buttons(page).first().click();
  await until(() => owner.calls.length === 1, "the owner to be asked");
  await owner.close();
});

test("kill -9 while a tool acts: it is not done twice, the visitor is told, and may try again", { ...options, waits: true }, async (world) => {
  const { server, model } = world;
  const owner = await startShop(world, { confirm: false });
  owner.hold();
  const page = await (await world.tab()).load();
  await ask(page, model);
  await until(() => owner.calls.length === 1, "the owner to be asked");
  await page.sees("system", `${TITLE}…`);
  await server.kill();
  await server.start();
  await page.sees("system", "It may be done already", undefined, 30_000);
  assert.ok((await page.said("system")).some((line) => line.text === `${TITLE}…`), "what was begun stays on screen");
  assert.equal(owner.calls.length, 1, "and is not begun again");
  assert.equal(model.calls.length, 1, "nobody is asked anything");
  const log = await page.log();
  const sorry = log.find((e) => e.type === "session.error");
  forgetOldConnection(page);
  assert.equal(sorry.interrupted, true);
  assert.equal(log.at(-1).stop_reason, "error");
  await page.page.getByRole("button", { name: "Try again" }).click();
  const again = await model.nextCall();
  assert.equal(again.messages.at(-1).content, "Please cancel K-1042, it came too late");
  again.write("It was cancelled before.");
  again.end();
  await page.sees("agent", "It was cancelled before.");
  await owner.close();
});

test("kill -9 while it asks: nothing was done, and it asks again", { ...options, waits: true }, async (world) => {
  const { server, model } = world;
  const owner = await startShop(world);
  const page = await (await world.tab()).load();
  await ask(page, model);
  await page.sees("system", ASKED);
  await server.kill();
  await server.start();
  (await model.nextCall()).wants("cancel_order", wish);
  await until(async () => (await page.said("system")).length === 2, "a second question", 30_000);
  forgetOldConnection(page);
  assert.deepEqual((await page.said("system")).map((line) => line.text), [`${TITLE} ✗`, ASKED]);
  await buttons(page).first().click();
  await until(() => owner.calls.length === 1, "the owner to be asked");
  await owner.close();
});
