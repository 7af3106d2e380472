import crypto from "node:crypto";
import { assert, test, until } from "../harness.mjs";

let key = "pk_live_xxx";
const options = { model: true, rewrite: (html) => html.replace("pk_live_xxx", key) };

/** A key whose identity secret the test knows, and the page's way to name a user. */
async function signed({ server, site, agent }) {
  const keys = JSON.parse(await server.cli("keys", "create", "--name", "w", "--origin", site.origin, "--agent", agent, "--json"));
  key = keys.public_key;
  const hmac = (text) => crypto.createHmac("sha256", keys.identity_secret).update(text).digest("hex");
  const v2 = (claims) => {
    const payload = Buffer.from(JSON.stringify(claims)).toString("base64url");
    return `v2.${payload}.${hmac(payload)}`;
  };
  return { hmac, v2, identify: (page, userId, identityToken = hmac(userId)) => page.page.evaluate((who) => karta("identify", who), { userId, identityToken }) };
}

async function talk(page, words) {
  await page.say(words);
  await page.sees("agent", `You said: ${words}`);
}

test("identify before the first open, and another user in the middle: no line of the first stays", options, async (world) => {
  const who = await signed(world);
  const page = await (await world.tab()).load();
  await who.identify(page, "u_1");
  await page.openPanel();
  await talk(page, "I am the first");
  await who.identify(page, "u_2");
  await until(async () => !(await page.conversation()).some((m) => m.text.includes("first")), "the first user's lines to go");
  await page.reveal();
  await talk(page, "I am the second");
  assert.ok(!(await page.page.evaluate(() => JSON.stringify(localStorage))).includes("first"), "nor in storage");
  await who.identify(page, "u_1");
  await page.sees("agent", "You said: I am the first");
  assert.equal(page.posts("/auth/guest").length, 0);
});

test("the same user with a new token goes on in the same session", options, async (world) => {
  const who = await signed(world);
  const page = await (await world.tab()).load();
  await who.identify(page, "u_1");
  await page.openPanel();
  await talk(page, "Before");
  await who.identify(page, "u_1", who.v2({ user_id: "u_1", aal: "aal2", exp: Math.floor(Date.now() / 1000) + 3600 }));
  await until(() => page.posts("/auth/exchange").length === 2, "the new claims");
  await talk(page, "After");
  await page.sees("agent", "You said: Before");
  assert.equal(page.posts("/sessions").length, 1, "one session");
});

test("a guest who signs in starts as that user, and a proof that fails never speaks as anybody", options, async (world) => {
  const who = await signed(world);
  const page = await (await world.tab()).load();
  await page.openPanel();
  await talk(page, "As nobody");
  await who.identify(page, "u_1");
  await until(() => page.posts("/auth/exchange").length, "the exchange");
  await page.reveal();
  await talk(page, "As the user");
  await page.listen();
  await who.identify(page, "u_2", who.hmac("u_1"));
  await page.event("error", (e) => /^identity_/.test(e.code));
  const sent = page.posts("/events").length;
  await page.page.evaluate(() => karta("sendMessage", "Who am I now?"));
  await page.event("error", () => true);
  assert.equal(page.posts("/events").length, sent, "nothing was said with a failed proof");
  page.forgive(/Failed to load resource.*40[13]|\[karta\] identity_/);
});
