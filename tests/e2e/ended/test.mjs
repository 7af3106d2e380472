// The owner ends what is under way: what the visitor reads, what the page hears, and that the widget lets it be.
import { assert, test, until } from "../harness.mjs";
import { backend } from "../harness/backend.mjs";

const TRANSPORTS = {
  "the data channel": undefined,
  HTTPS: () => { delete window.RTCPeerConnection; delete window.webkitRTCPeerConnection; },
};

/** The owner's own server. */
async function owner({ server, key, agent }) {
  const { admin_token: token } = JSON.parse(await server.cli("admin-token", "rotate", "--json"));
  const change = async (path, body) => {
    const answer = await fetch(`${server.http}/api/v1${path}`, {
      method: "PATCH", headers: { authorization: `Bearer ${token}`, "content-type": "application/json" }, body: JSON.stringify(body),
    });
    assert.equal(answer.status, 200, await answer.text());
  };
  return { key: (body) => change(`/widget-keys/${key}`, body), policy: (body) => change(`/agents/${agent}/widget-settings`, body) };
}

/** A guest in a conversation over this transport. */
async function guest(world, before) {
  const tab = await (await world.tab({ before })).load();
  await tab.listen();
  await tab.openPanel();
  await (before ? tab.event("connection", (e) => e.state === "connected") : tab.realtime());
  await tab.say("Hello");
  await tab.sees("agent", "You said: Hello");
  return tab;
}

const banner = (tab) => tab.page.locator("karta-root .banner").innerText();

// Code, what the owner does, the fix that the console names, what the visitor reads.
const ENDS = [
  ["client_key_disabled", (owner) => owner.key({ enabled: false }), /enable/i, "not available here"],
  ["widget_disabled_for_agent", (owner) => owner.policy({ widget_enabled: false }), /widget|switch/i, "not available here"],
  ["guest_not_allowed", (owner) => owner.policy({ auth_mode: "user" }), /identif|user/i, "sign in"],
];

for (const [name, before] of Object.entries(TRANSPORTS)) {
  for (const [code, act, fix, words] of ENDS) {
    test(`${code} in the middle of a chat over ${name}`, { model: true, waits: true }, async (world) => {
      const tab = await guest(world, before);
      await act(await owner(world));
      const told = await tab.event("error", (e) => e.code === code);
      assert.ok(told.message.length > 20, told.message);
      await until(async () => !(await tab.field.isEditable()), "the composer to lock");
      assert.ok((await banner(tab)).includes(words), await banner(tab));
      await tab.sees("agent", "You said: Hello");
      const said = tab.takeComplaints(new RegExp(`\\[karta\\] ${code}: `));
      assert.equal(said.length, 1, `one line for the developer: ${said}`);
      assert.match(said[0], fix);

      // Nothing wakes it: no timer, no network that comes back, no call of the page.
      const before_ = tab.requests.length;
      await tab.page.evaluate(() => {
        window.dispatchEvent(new Event("online"));
        document.dispatchEvent(new Event("visibilitychange"));
        window.karta("sendMessage", "Still there?");
      });
      await tab.page.waitForTimeout(3000);
      assert.deepEqual(tab.requests.slice(before_).map((r) => `${r.method} ${r.url}`), []);
      assert.deepEqual((await tab.events("error")).map((e) => e.code), [code], "told once");
      assert.equal(tab.takeComplaints(/the message is not sent/).length, 1, "the page's own call is answered in the console");
      assert.equal((await tab.said("user")).length, 1);
    });
  }

  test(`a guest whose login is revoked goes on over ${name}`, { model: true, waits: true }, async (world) => {
    const tab = await guest(world, before);
    await revoke(tab);
    await until(() => tab.posts("/auth/guest").length === 2, "another login");
    // The browser's own lines about the refused requests.
    await tab.say("Still me?");
    await tab.sees("agent", "You said: Still me?");
    tab.forgive(/status of 401/);
    assert.equal((await tab.said("user")).length, 2, "the conversation is still there");
    assert.equal((await tab.log()).filter((e) => e.type === "user.message").length, 2, "and is the same one");
    assert.deepEqual(await tab.events("error"), []);
  });

  test(`a visitor who is forgotten elsewhere has a clear fresh start over ${name}`, { model: true, waits: true }, async (world) => {
    const tab = await guest(world, before);
    const session = await keptSession(tab);
    await call(tab, "DELETE", "/me");
    await until(async () => (await tab.said("user")).length === 0, "the old lines to leave");
    assert.deepEqual((await tab.said("agent")).map((m) => m.text), ["Hello! Ask me anything."], "the greeting stands alone");
    const started = await tab.event("session:started", (e) => e.sessionId !== session);
    await tab.say("Who am I?");
    await tab.sees("agent", "You said: Who am I?");
    tab.forgive(/status of 40[14]/);
    assert.equal(await keptSession(tab), started.sessionId);
    assert.equal((await tab.log()).filter((e) => e.type === "user.message").length, 1);
    assert.ok(await tab.panel.isVisible(), "the panel stays open");
    assert.deepEqual(await tab.events("error"), []);
  });

  test(`a verified user whose login is revoked is never a guest, over ${name}`, { model: true, waits: true }, async (world) => {
    const { proof } = await backend(world);
    const tab = await (await world.tab({ before })).load();
    await tab.listen();
    // A proof that works again: the login is simply renewed.
    await tab.page.evaluate((who) => window.karta("identify", who), { userId: "ada", identityToken: proof("ada") });
    await tab.openPanel();
    await tab.say("My order is 1815");
    await tab.sees("agent", "You said: My order is 1815");
    await (before ? tab.event("connection", (e) => e.state === "connected") : tab.realtime());
    await revoke(tab);
    await until(() => tab.posts("/auth/exchange").length === 2, "another exchange");
    await tab.say("Still me?");
    await tab.sees("agent", "You said: Still me?");
    assert.equal((await tab.said("user")).length, 2);
    assert.deepEqual(await tab.events("error"), []);
    assert.equal(tab.posts("/auth/guest").length, 0, "never a guest");
    tab.forgive(/status of 401/);
  });

  test(`a user whose token works once is asked to sign in when the login is revoked, over ${name}`, { model: true, waits: true }, async (world) => {
    const { userToken } = await backend(world);
    const tab = await (await world.tab({ before })).load();
    await tab.listen();
    const identify = async () => tab.page.evaluate((userToken) => window.karta("identify", { userToken }), await userToken("ada"));
    await identify();
    await tab.openPanel();
    await (before ? tab.event("connection", (e) => e.state === "connected") : tab.realtime());
    await tab.say("My order is 1815");
    await tab.sees("agent", "You said: My order is 1815");
    await revoke(tab);
    await tab.event("error", (e) => e.code === "token_expired");
    await until(async () => !(await tab.field.isEditable()), "the composer to lock");
    assert.match(await banner(tab), /sign in/);
    await identify();
    await until(() => tab.field.isEditable(), "the composer to unlock");
    await tab.say("Back");
    await tab.sees("agent", "You said: Back");
    assert.equal((await tab.said("user")).length, 2, "it is one conversation");
    assert.equal(tab.posts("/auth/guest").length, 0, "never a guest");
    tab.forgive(/status of 401/);
    assert.equal(tab.takeComplaints(/\[karta\] token_expired: /).length, 1);
  });
}

/** The session in the stored record. */
const keptSession = (tab) => tab.page.evaluate(() => Object.entries({ ...localStorage }).find(([name]) => name.startsWith("karta:"))[1].split("\u{1f}")[3]);

/** With the tab's newest login, from elsewhere. */
async function call(tab, method, path) {
  const { headers, url } = tab.requests.findLast((r) => r.headers.authorization);
  const answer = await fetch(url.replace(/(\/api\/v1\/widget).*/, `$1${path}`), { method, headers: { authorization: headers.authorization, origin: tab.origin } });
  assert.ok(answer.ok, `${method} ${path} answers ${answer.status}`);
}
const revoke = (tab) => call(tab, "POST", "/auth/revoke");
