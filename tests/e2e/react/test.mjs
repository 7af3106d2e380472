// <KartaWidget/> and useKartaAgent in a real React, in strict mode, which mounts everything twice; and on a server.
import path from "node:path";
import { assert, test, until } from "../harness.mjs";
import { backend } from "../harness/backend.mjs";
import { bundleModules } from "../harness/modules.mjs";

const react = { model: true, modules: ["app.tsx"] };

async function app(world) {
  const tab = await (await world.tab()).goto("/");
  await until(() => tab.page.evaluate(() => "drawChat" in window), "the page's script");
  return tab;
}
const heard = (tab) => tab.page.evaluate(() => window.heard);
const accent = (tab) => tab.page.evaluate(() => document.querySelector("karta-root").shadowRoot.querySelector(".frame").style.getPropertyValue("--accent"));
/** Everything that a widget or client asks the server for itself. */
const asked = (tab, pattern) => tab.requests.filter((r) => pattern.test(`${r.method} ${new URL(r.url).pathname}`)).length;

test("<KartaWidget/> renders nothing itself and mounts the widget, in strict mode once", react, async (world) => {
  const tab = await app(world);
  const calls = await tab.page.evaluate(() => {
    window.drawWidget({ theme: { accent: "#112233", agentName: "Beans" } }, "first");
    return window.karta.q.map(([name]) => name);
  });
  assert.deepEqual(calls.filter((name) => !/^(on|off)$/.test(name)), ["init"], "the second mounting in the same moment is none");
  await tab.launcher.waitFor();
  assert.equal(await tab.page.evaluate(() => document.querySelector("#root").innerHTML), "");
  assert.equal(await accent(tab), "#112233");
  await tab.openPanel();
  assert.equal(await tab.panel.getAttribute("aria-label"), "Beans");
  await tab.say("Hello");
  await tab.sees("agent", "You said: Hello");
  assert.equal(await tab.page.locator("karta-root").count(), 1);
  assert.equal(asked(tab, /GET .*\/karta\.js$/), 1);
  assert.equal(asked(tab, /GET .*\/widget\/config$/), 1);
  assert.equal(tab.posts("/sessions").length, 1);
  assert.deepEqual(await heard(tab), ["ready {} first", "open {} first", 'received {"text":"You said: Hello"} first']);
});

test("props that change: the look, the callbacks, and who the visitor is", react, async (world) => {
  const { proof } = await backend(world);
  const tab = await app(world);
  await tab.page.evaluate(() => window.drawWidget({ theme: { accent: "#112233" } }, "first"));
  await tab.openPanel();
  await tab.say("As a guest");
  await tab.sees("agent", "You said: As a guest");
  await tab.page.evaluate(() => window.drawWidget({ theme: { accent: "#445566" }, locale: "de" }, "second"));
  await until(async () => (await accent(tab)) === "#445566", "another accent");
  await until(() => tab.page.locator('karta-root .frame[lang="de"]').count(), "another language");
  await tab.page.evaluate((identityToken) => window.drawWidget({ theme: { accent: "#445566" }, locale: "de", identity: { userId: "ada", identityToken } }, "third"), proof("ada"));
  await until(async () => (await tab.said("user")).length === 0, "nothing of the guest to stay");
  await tab.say("As Ada");
  await tab.sees("agent", "You said: As Ada");
  assert.deepEqual((await heard(tab)).filter((line) => line.startsWith("received")), ['received {"text":"You said: As a guest"} first', 'received {"text":"You said: As Ada"} third'], "the newest function is called, once");
  // The same again, with other objects: nothing happens.
  const requests = tab.requests.length;
  await tab.page.evaluate((identityToken) => window.drawWidget({ theme: { accent: "#445566" }, locale: "de", identity: { userId: "ada", identityToken } }, "third"), proof("ada"));
  await tab.say("Still Ada");
  await tab.sees("agent", "You said: Still Ada");
  assert.ok(tab.requests.slice(requests).every((r) => !/auth|\/sessions$/.test(r.url)), "no other login");
  // Logged out: a guest again.
  await tab.page.evaluate(() => window.drawWidget({ theme: { accent: "#445566" }, locale: "de" }, "fourth"));
  await until(async () => (await tab.said("user")).length === 0, "nothing of Ada to stay");
});

test("unmounting takes the widget away, and mounting brings it back with the same conversation", react, async (world) => {
  const tab = await app(world);
  await tab.page.evaluate(() => window.drawWidget());
  await tab.openPanel();
  await tab.say("Before");
  await tab.sees("agent", "You said: Before");
  await tab.page.evaluate(() => window.drawNothing());
  await until(async () => (await tab.page.locator("karta-root").count()) === 0, "the page as it was");
  await tab.page.evaluate(() => window.drawWidget());
  await tab.openPanel();
  await tab.sees("agent", "You said: Before");
  await tab.say("After");
  await tab.sees("agent", "You said: After");
  assert.equal((await heard(tab)).filter((line) => line.includes("You said: After")).length, 1, "one subscription");
  assert.equal(asked(tab, /GET .*\/karta\.js$/), 1, "the script is there already");
});

test("another key or agent is another conversation", react, async (world) => {
  const other = JSON.parse(await world.server.cli("agents", "create", "--name", "Other", "--runtime", "openai", "--greeting", "I am another.", "--json")).id;
  const key = JSON.parse(await world.server.cli("keys", "create", "--name", "Other", "--origin", world.site.origin, "--agent", other, "--json")).public_key;
  const tab = await app(world);
  await tab.page.evaluate(() => window.drawWidget());
  await tab.openPanel();
  await tab.say("To the first");
  await tab.sees("agent", "You said: To the first");
  await tab.page.evaluate((embedKey) => window.drawWidget({ embedKey }), key);
  await until(async () => (await tab.panel.count()) === 0, "the first to go");
  await tab.openPanel();
  await tab.sees("agent", "I am another.");
  assert.equal((await tab.said("user")).length, 0);
  assert.equal(await tab.page.locator("karta-root").count(), 1);
});

test("two <KartaWidget/> are one widget and one warning", react, async (world) => {
  const tab = await app(world);
  await tab.page.evaluate(() => window.drawTwo());
  await tab.launcher.waitFor();
  await tab.openPanel();
  assert.equal(await tab.page.locator("karta-root").count(), 1);
  assert.ok(tab.takeComplaints(/already_mounted/).length >= 1);
  assert.deepEqual(await heard(tab), ["ready {}", "open {}"]);
});

test("a component as the documents show it: with a user, and the count in the title", react, async (world) => {
  const { proof } = await backend(world);
  const tab = await app(world);
  await tab.page.evaluate((token) => window.drawSupport("#112233", { id: "ada", token }), proof("ada"));
  await tab.openPanel();
  await tab.close.click();
  await tab.page.evaluate(() => window.karta("sendMessage", "Hello"));
  await until(() => tab.page.evaluate(() => document.title === "(1) Shop"), "the count in the title");
  await tab.openPanel();
  await until(() => tab.page.evaluate(() => document.title === "Shop"), "no count any more");
});

test("useKartaAgent: a chat of the page's own streams, in strict mode over one session, and ends with its component", react, async (world) => {
  const tab = await app(world);
  await tab.page.evaluate(() => window.drawChat());
  const lines = (role) => tab.page.locator(`li.${role}`).allTextContents();
  await until(async () => (await lines("agent")).includes("Hello! Ask me anything."), "the greeting");
  await tab.realtime();
  world.model.hold();
  await tab.page.getByRole("textbox").fill("Word by word");
  await tab.page.getByRole("textbox").press("Enter");
  const call = await world.model.nextCall();
  call.write("One ");
  await until(async () => (await lines("agent")).includes("One "), "the first word");
  call.write("two");
  call.end();
  await until(async () => (await lines("agent")).includes("One two"), "the answer");
  assert.deepEqual(await lines("user"), ["Word by word"]);
  assert.equal(tab.posts("/sessions").length, 1, "one session");
  assert.equal((await tab.probe()).channels, 1, "one data channel");
  // Hidden and shown again in the same moment.
  await tab.page.evaluate(() => { window.drawChat(true); window.drawChat(); });
  await tab.page.getByRole("textbox").fill("Still there?");
  world.model.answers("Yes.");
  await tab.page.getByRole("textbox").press("Enter");
  await until(async () => (await lines("agent")).includes("Yes."), "an answer");
  assert.deepEqual([tab.posts("/sessions").length, (await tab.probe()).channels], [1, 1], "over the same connection");
  await tab.page.evaluate(() => window.drawNothing());
  await until(() => tab.page.evaluate(() => window.e2ePeers.every((peer) => peer.connectionState === "closed")), "the connection to end");
  await tab.page.evaluate(() => window.drawChat());
  await until(async () => (await lines("agent")).includes("One two"), "the conversation to go on");
});

test("on a server both render what there is before anything has happened, and touch no window", {}, async () => {
  const { "/server.js": text } = await bundleModules(path.join(import.meta.dirname), ["server.tsx"]);
  assert.equal(typeof globalThis.window, "undefined");
  const { widget, chat } = await import(`data:text/javascript;base64,${Buffer.from(text).toString("base64")}`);
  assert.equal(widget(), "");
  assert.equal(chat(), '<section aria-label=""><ol></ol><form><input disabled="" value=""/></form></section>');
  assert.equal(typeof globalThis.karta, "undefined");
});
