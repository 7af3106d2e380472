import { assert, test, until } from "../harness.mjs";
import { backend } from "../harness/backend.mjs";

const identify = (tab, who) => tab.page.evaluate((who) => window.karta("identify", who), who);

/** Waits for the error event, and takes what the browser and the widget wrote to the console about it off the list. */
async function refused(tab, code) {
  const event = await tab.event("error", (e) => e.code === code);
  assert.ok(event.message.length > 20, "the event says what to do");
  await until(async () => !(await tab.field.isEditable()), "the composer to lock");
  const told = await until(() => tab.complaints.find((c) => c.includes(`[karta] ${code}: `)), "a warning for the developer");
  assert.ok(told, code);
  tab.forgive(/Failed to load resource: the server responded with a status of 40[13]/);
  tab.takeComplaints(new RegExp(`\\[karta\\] ${code}: `));
}

const asGuest = (tab) => tab.posts("/auth/guest").length;

test("a verified user has one conversation on two browsers, and another user of the same browser sees none of it", { model: true }, async (world) => {
  const { proof } = await backend(world);
  const ada = { userId: "ada@example.com", identityToken: proof("ada@example.com") };
  const one = await (await world.tab()).load();
  await identify(one, ada);
  await one.openPanel();
  await one.say("My order is 1815");
  await one.sees("agent", "You said: My order is 1815");
  assert.equal(asGuest(one), 0, "no guest was asked for");

  const two = await (await world.tab()).load();
  await two.listen();
  await identify(two, ada);
  await two.openPanel();
  await two.sees("user", "My order is 1815");
  await two.sees("agent", "You said: My order is 1815");

  await identify(two, { userId: "bob", identityToken: proof("bob") });
  await until(async () => (await two.said("user")).length === 0, "the other user's lines to leave");
  assert.ok(await two.panel.isVisible(), "the panel stays open");
  await two.say("Who am I?");
  await two.sees("agent", "You said: Who am I?");
  const all = JSON.stringify(await two.conversation()) + await two.page.evaluate(() => JSON.stringify({ ...localStorage }));
  assert.ok(!all.includes("1815") && !all.includes("ada@"), all);
  assert.equal((await one.log()).filter((e) => e.type === "user.message").length, 1, "bob wrote into his own conversation");

  // Back again, as on a shared computer.
  await identify(two, ada);
  await two.sees("agent", "You said: My order is 1815");
  assert.ok(!JSON.stringify(await two.conversation()).includes("Who am I?"));
});

test("a failed proof is refused in kind words, never becomes a guest, and is healed by a good one", { model: true }, async (world) => {
  const { proof } = await backend(world);
  const tab = await (await world.tab()).load();
  await tab.listen();
  await identify(tab, { userId: "ada", identityToken: proof("eve") });
  await tab.openPanel();
  await refused(tab, "identity_invalid");
  assert.equal(asGuest(tab), 0);
  await identify(tab, { userId: "ada", identityToken: proof("ada") });
  await until(() => tab.field.isEditable(), "the composer to unlock");
  await tab.say("Hello again");
  await tab.sees("agent", "You said: Hello again");
});

test("where identification is required, a guest is refused until the page identifies", { model: true }, async (world) => {
  const { proof } = await backend(world);
  await world.server.cli("keys", "identification", world.key, "on");
  const tab = await (await world.tab()).load();
  await tab.listen();
  await tab.openPanel();
  await refused(tab, "guest_not_allowed");
  await identify(tab, { userId: "ada", identityToken: proof("ada") });
  await until(() => tab.field.isEditable(), "the composer to unlock");
  await tab.say("It is me");
  await tab.sees("agent", "You said: It is me");
});

test("a user token works once; the page is told and gives a fresh one", { model: true }, async (world) => {
  const { userToken } = await backend(world);
  const tab = await (await world.tab()).load();
  const used = await userToken("ada");
  await identify(tab, { userToken: used });
  await tab.openPanel();
  await tab.say("Remember me");
  await tab.sees("agent", "You said: Remember me");
  await tab.load();
  await tab.listen();
  await identify(tab, { userToken: used });
  await tab.reveal();
  await refused(tab, "token_used");
  assert.deepEqual(await tab.said("user"), [], "nothing is shown before it is clear whose it is");
  await identify(tab, { userToken: await userToken("ada") });
  await tab.sees("agent", "You said: Remember me");
  await tab.say("And on");
  await tab.sees("agent", "You said: And on");
  assert.equal(asGuest(tab), 0);
});

test("reset ends the login on the server", { model: true }, async (world) => {
  const tab = await (await world.tab()).load();
  await tab.openPanel();
  await tab.say("Forget me");
  await tab.sees("agent", "You said: Forget me");
  const { headers } = tab.requests.findLast((r) => r.headers.authorization);
  const own = async () => (await fetch(`${tab.posts("/sessions")[0].url}`, { headers: { authorization: headers.authorization, origin: tab.origin } })).status;
  assert.equal(await own(), 200);
  await tab.page.evaluate(() => window.karta("reset"));
  await until(() => tab.posts("/auth/revoke").length === 1, "the call that revokes");
  await until(async () => (await own()) === 401, "the token to be refused");
  assert.deepEqual(await tab.page.evaluate(() => ({ ...localStorage })), {});
});
