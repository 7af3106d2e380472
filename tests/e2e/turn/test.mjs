import { createHmac } from "node:crypto";
import path from "node:path";
import { assert, test, until } from "../harness.mjs";
import { microphone } from "../harness/microphone.mjs";

const QUESTION = path.resolve(import.meta.dirname, "../../../fixtures/voice/opening-hours.wav");
const SECRET = "only-for-this-test";

/** As if the visitor's network let nothing through but the relay; remembers every connection. */
function onlyRelayed() {
  const peers = [];
  Object.defineProperty(window, "e2eRelayed", { value: peers });
  const Genuine = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Genuine {
    constructor(config) {
      super({ ...config, iceTransportPolicy: "relay" });
      peers.push(this);
    }
  };
}

/** {type, protocol, relay, state} of our end of the path that carries the last connection. */
const route = (page) => page.page.evaluate(async () => {
  const stats = await window.e2eRelayed.at(-1).getStats();
  const all = [...stats.values()];
  const transport = all.find((s) => s.type === "transport");
  const pair = stats.get(transport?.selectedCandidatePairId);
  const local = stats.get(pair?.localCandidateId);
  return { type: local?.candidateType, relay: local?.relayProtocol, state: pair?.state };
});

/** What has arrived of the agent's voice, as the browser counts it. */
const heard = (page) => page.page.evaluate(async () => {
  let energy = 0;
  (await window.e2eRelayed.at(-1).getStats()).forEach((stat) => { if (stat.type === "inbound-rtp") energy += stat.totalAudioEnergy; });
  return energy;
});

const credentials = (username) => ({ username, credential: createHmac("sha1", SECRET).update(username).digest("base64") });

/** The page gets credentials with another username: of its own session's answer, or of every answer. */
async function rewriteLinks(page, paths, change) {
  await page.page.route(paths, async (route) => {
    if (route.request().method() !== "POST") return route.fallback();
    const response = await route.fetch();
    const headers = response.headers();
    headers.link = headers.link.replace(/username="([^"]*)"; credential="([^"]*)"/g, (_, username, credential) => {
      const given = change({ username, credential });
      return `username="${given.username}"; credential="${given.credential}"`;
    });
    await route.fulfill({ response, headers });
  });
}

for (const transport of ["udp", "tcp"]) {
  test(`text goes through a relay over ${transport.toUpperCase()} where nothing else is let through`, { turn: { secret: SECRET, transports: [transport] }, model: true }, async ({ tab, model, turn }) => {
    const page = await (await tab({ before: onlyRelayed })).load();
    await page.openPanel();
    await page.realtime();
    // A pair that carries data may be checked once more just now.
    const { type, relay } = await until(async () => { const now = await route(page); return now.state === "succeeded" && now; }, async () => `a path that works: ${JSON.stringify(await route(page))}`);
    assert.deepEqual({ type, relay }, { type: "relay", relay: transport });
    model.answers("It came by the relay.");
    const posts = page.posts("/events").length;
    await page.say("Which way?");
    await page.sees("agent", "It came by the relay.");
    assert.equal(page.posts("/events").length, posts, "the message went by the channel");
    assert.match(turn.log(), /session \d+: realm <karta\.test> user <\d+:[0-9a-f]{16}>: incoming packet ALLOCATE processed, success/);
  });
}

for (const transport of ["udp", "tcp"]) {
  const spoken = { turn: { secret: SECRET, transports: [transport] }, model: true, agentArgs: ["--voice", "local"], timeoutMs: 120_000 };
  test(`a call goes through a relay over ${transport.toUpperCase()}, in both directions`, spoken, async ({ tab, model }) => {
    const page = await (await tab({ before: [onlyRelayed, microphone({ question: QUESTION })] })).load();
    model.answers("We are open from eight to four.");
    await page.listen();
    await page.openPanel();
    await page.voice.click();
    await page.panel.locator('.call[data-state="listening"]').waitFor({ timeout: 60_000 });
    await page.page.evaluate(() => window.e2eVoice.say("question"));
    // A recogniser that shares the machine with other builds takes its time.
    const { text } = await page.event("transcript", ({ role, final }) => role === "user" && final, 60_000);
    assert.match(text, /opening hours/);
    await until(async () => (await heard(page)) > 0.01, "audio energy to arrive", 60_000);
    await page.sees("agent", "We are open from eight to four.", ["done"], 60_000);
    const { type, relay } = await route(page);
    assert.deepEqual({ type, relay }, { type: "relay", relay: transport });
    assert.equal((await page.probe()).channels, 1, "the same connection all the while");
  });
}

test("credentials that the relay refuses leave the conversation on HTTPS", { turn: { secret: SECRET, serverSecret: "another-one" } }, async ({ tab, turn }) => {
  const page = await (await tab({ before: onlyRelayed })).load();
  await page.openPanel();
  await until(() => /user <\d+:[0-9a-f]{16}>: incoming packet message processed, error 401: Unauthorized/.test(turn.log()), () => `a refusal by coturn:\n${turn.log()}`);
  await page.say("Still here?");
  await page.sees("agent", "");
  assert.equal(page.posts("/events").length, 1, "by HTTPS");
  assert.equal((await page.probe()).channels, 0);
});

test("old credentials cost one attempt: the next has those of the answer", { turn: { secret: SECRET }, model: true, waits: true }, async ({ tab, model, turn }) => {
  const page = await tab({ before: onlyRelayed });
  // What a page holds that was left alone since yesterday: signed rightly, and over for a minute.
  await rewriteLinks(page, "**/api/v1/widget/sessions", ({ username }) => credentials(`${Math.floor(Date.now() / 1000) - 60}:${username.split(":")[1]}`));
  await page.load();
  await page.openPanel();
  model.answers("Meanwhile by HTTPS.");
  await page.say("Does it go on?");
  await page.sees("agent", "Meanwhile by HTTPS.");
  assert.equal(page.posts("/events").length, 1);
  // The first attempt is given up after fifteen seconds.
  await page.realtime(30_000);
  assert.equal((await route(page)).type, "relay");
  assert.equal(await page.page.evaluate(() => window.e2eRelayed.length), 2, "one attempt failed");
  assert.match(turn.log(), /Cannot find credentials of user/, "the first ones were too old");
  assert.match(turn.log(), /ALLOCATE processed, success/);
});

test("no Link header, however odd, costs the page anything", { turn: { secret: SECRET }, model: true }, async ({ tab, model }) => {
  model.answers("Unimpressed.");
  for (const link of ['<turn:>; rel="ice-server"', '<javascript:alert(1)>; rel="ice-server"', '<turn:127.0.0.1>; rel="ice-server"', '<<>>;;=",', `<turn:${"x".repeat(3000)}>; rel="ice-server"; username="${"u".repeat(600)}"; credential="c"`]) {
    const page = await tab();
    await page.page.route("**/api/v1/widget/sessions", async (route) => {
      if (route.request().method() !== "POST") return route.fallback();
      const response = await route.fetch();
      await route.fulfill({ response, headers: { ...response.headers(), link } });
    });
    await page.load();
    await page.openPanel();
    await page.realtime();
    await page.say("And now?");
    await page.sees("agent", "Unimpressed.");
  }
});
