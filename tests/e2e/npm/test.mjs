// The npm package on a customer's page: KartaAgentClient, a conversation in the page's own elements, and loadKarta, the prebuilt widget with types.
import fs from "node:fs";
import path from "node:path";
import { assert, test, until } from "../harness.mjs";
import { backend } from "../harness/backend.mjs";
import { microphone } from "../harness/microphone.mjs";
import { startShop, TITLE } from "../harness/shop.mjs";

const own = { modules: ["chat.ts", "bare.ts"] };
const model = { ...own, model: true };
const RECORDING = path.resolve(import.meta.dirname, "../../../fixtures/voice/opening-hours.wav");

const state = (tab) => tab.page.evaluate(() => window.client.getState());
/** Waits until the state of the page's client is as wanted; gives it. */
const becomes = (tab, wanted, what, timeoutMs = undefined) => until(async () => {
  const now = await state(tab);
  return wanted(now) && now;
}, async () => `${what}; the state is ${JSON.stringify(await state(tab))}`, timeoutMs);
const says = (now, role, text, states = ["sent", "done"]) => now.messages.find((m) => m.role === role && m.text.includes(text) && states.includes(m.state));

/** A page with nothing but the package, and a client. */
async function bare(world, { options = {}, address = "/bare.html", before, someone } = {}) {
  const tab = await (await (someone ? someone.tab({ before }) : world.tab({ before }))).goto(address);
  await until(() => tab.page.evaluate(() => "make" in window), "the page's script");
  await tab.page.evaluate((options) => { window.client = window.make(options); }, options);
  return tab;
}
const connect = (tab) => tab.page.evaluate(() => window.attempt(window.client));

const strict = (url) => ({
  "content-security-policy": `default-src 'none'; script-src 'self' http://127.0.0.1:* 'wasm-unsafe-eval'; style-src 'none'; connect-src http://127.0.0.1:*; require-trusted-types-for 'script'; trusted-types 'none'`,
});

test("a chat in the page's own elements: over the data channel, streamed, under a strict policy", { ...model, headers: strict }, async ({ tab, model }) => {
  const page = await (await tab()).goto("/");
  const lines = (role) => page.page.locator(`li.${role}`).allTextContents();
  await until(async () => (await lines("agent")).includes("Hello! Ask me anything."), "the greeting");
  await page.realtime();
  model.hold();
  await page.page.getByRole("textbox").fill("Step by step, please");
  await page.page.getByRole("textbox").press("Enter");
  const call = await model.nextCall();
  await page.page.locator("#typing").waitFor();
  call.write("One, ");
  await until(async () => (await lines("agent")).includes("One, "), "the first word");
  assert.ok(await page.page.locator("#typing").isHidden());
  call.write("two.");
  call.end();
  await until(async () => (await lines("agent")).includes("One, two."), "the answer");
  assert.deepEqual(await lines("user"), ["Step by step, please"]);
  const { sent, csp } = await page.probe();
  assert.ok(sent.some((frame) => frame.includes("Step by step, please")), "by the data channel");
  assert.deepEqual(csp, []);
  assert.equal(await page.page.locator("karta-root").count(), 0, "nothing of ours is drawn");
  assert.ok(page.requests.every((r) => !/karta\.js|panel-|launcher-|realtime-/.test(r.url)), "nothing of the prebuilt widget is loaded");
});

test("the state is frozen, the same until something changes, and so is each of its lines", model, async (world) => {
  const tab = await bare(world);
  assert.equal(await tab.page.evaluate(() => window.client.getState() === window.client.getState() && window.client.getState().connection), "idle");
  assert.equal(await connect(tab), "connected");
  await becomes(tab, (now) => now.connection === "realtime", "a data channel");
  await tab.page.evaluate(() => window.client.sendMessage("First"));
  await becomes(tab, (now) => says(now, "agent", "You said: First"), "an answer");
  world.model.hold();
  const before = world.model.calls.length;
  await tab.page.evaluate(() => {
    window.kept = window.client.getState();
    window.turns = 0;
    window.client.subscribe(() => { throw new Error("from the page"); });
    window.client.subscribe(async () => { throw new Error("later, from the page"); });
    window.client.subscribe(() => { window.turns += 1; });
    window.client.sendMessage("Second");
  });
  await until(() => world.model.calls[before], "the model to be asked");
  await becomes(tab, (now) => now.typing && now.answering, "typing");
  world.model.calls[before].write("Word ");
  await becomes(tab, (now) => says(now, "agent", "Word", ["streaming"]), "the first word in the state");
  world.model.calls[before].write("by word");
  await becomes(tab, (now) => says(now, "agent", "Word by word", ["streaming"]), "the next");
  const same = await tab.page.evaluate(() => {
    const [old, now] = [window.kept, window.client.getState()];
    const frozen = (value) => Object(value) !== value || (Object.isFrozen(value) && Object.values(value).every(frozen));
    const { states } = window.client;
    return {
      frozen: states.every(frozen), changed: old !== now, lines: old.messages.every((line, at) => line === now.messages[at]), list: old.messages !== now.messages,
      agent: old.agent === now.agent, voice: old.voice === now.voice, told: states.every((one, at) => one !== states[at - 1]), turns: window.turns,
    };
  });
  assert.deepEqual({ ...same, turns: 0 }, { frozen: true, changed: true, lines: true, list: true, agent: true, voice: true, told: true, turns: 0 });
  assert.ok(same.turns > 2, "those that throw starve nobody");
  const once = await tab.page.evaluate(async () => {
    const before = window.turns;
    window.client.open();
    window.client.close();
    const told = window.turns - before;
    await Promise.resolve();
    return [told, window.turns - before];
  });
  assert.deepEqual(once, [0, 1], "once a turn, and not in the middle of it");
  const unchanged = await tab.page.evaluate(() => {
    const before = window.client.getState();
    window.client.update({ locale: before.locale });
    return window.client.getState() === before;
  });
  assert.ok(unchanged, "what says the same is the same");
  world.model.calls[before].end();
  await becomes(tab, (now) => says(now, "agent", "Word by word") && !now.answering, "the end");
  const turns = await tab.page.evaluate(() => window.turns);
  assert.equal(tab.takeComplaints(/a subscriber of this page failed/).length, 2 * turns);
});

test("a reload goes on in the same conversation, and what the client forgets is forgotten", model, async (world) => {
  const tab = await bare(world);
  assert.deepEqual(await tab.page.evaluate(() => ({ ...localStorage })), {}, "a client alone stores nothing");
  assert.equal(tab.requests.filter((r) => r.url.startsWith(world.server.http)).length, 0, "and asks nothing");
  await connect(tab);
  await tab.page.evaluate(() => window.client.sendMessage("Remember me"));
  const { sessionId } = await becomes(tab, (now) => says(now, "agent", "You said: Remember me"), "an answer");
  const again = await tab.goto("/bare.html") && tab;
  await until(() => again.page.evaluate(() => "make" in window), "the page's script");
  await again.page.evaluate(() => { window.client = window.make(); });
  assert.equal(await connect(again), "connected");
  const now = await becomes(again, (now) => says(now, "agent", "You said: Remember me"), "the history");
  assert.equal(now.sessionId, sessionId);
  assert.equal(now.unread, 1, "nobody has said that the visitor has seen it");
  assert.ok(says(now, "agent", "You said").seq > says(now, "user", "Remember").seq);

  await again.page.evaluate(() => window.client.shutdown());
  assert.deepEqual((await state(again)).messages, []);
  assert.equal((await state(again)).connection, "idle");
  assert.equal(await connect(again), "connected", "a client may connect again");
  await becomes(again, (now) => now.sessionId === sessionId && says(now, "agent", "You said"), "the same conversation");
  await again.page.evaluate(() => window.client.reset());
  assert.deepEqual(await again.page.evaluate(() => ({ ...localStorage })), {});
  assert.equal(await connect(again), "connected");
  assert.notEqual((await state(again)).sessionId, sessionId);
  assert.deepEqual((await state(again)).messages.map((m) => m.text), ["Hello! Ask me anything."]);
});

test("events have the names and payloads of the page's, once is once, and off is off", model, async (world) => {
  const tab = await bare(world);
  await tab.page.evaluate(() => {
    window.heard = [];
    const { client } = window;
    client.on("message:sent", () => { throw new Error("from the page"); });
    for (const name of ["ready", "open", "close", "session:started", "message:sent", "message:received", "unread", "error", "connection"]) client.on(name, (payload) => window.heard.push([name, payload]));
    client.once("message:sent", ({ text }) => window.heard.push(["once", { text }]));
    const twice = ({ text }) => window.heard.push(["twice", { text }]);
    client.on("message:sent", twice);
    client.on("message:sent", twice);
    const never = () => window.heard.push(["never", {}]);
    client.on("message:sent", never)();
    client.on("message:received", never);
    client.off("message:received", never);
  });
  await connect(tab);
  const { sessionId } = await becomes(tab, (now) => now.connection === "realtime", "a data channel");
  for (const words of ["One", "Two"]) {
    await tab.page.evaluate((words) => window.client.sendMessage(words), words);
    await becomes(tab, (now) => says(now, "agent", `You said: ${words}`), "an answer");
  }
  assert.equal((await state(tab)).unread, 2, "nobody has said that the visitor looks");
  await tab.page.evaluate(() => window.client.open());
  assert.equal((await state(tab)).unread, 0);
  await tab.page.evaluate(() => window.client.close());
  const heard = await tab.page.evaluate(() => window.heard);
  assert.deepEqual(heard.filter(([name]) => name !== "connection"), [
    ["ready", {}], ["session:started", { sessionId }],
    ["message:sent", { text: "One" }], ["once", { text: "One" }], ["twice", { text: "One" }], ["message:received", { text: "You said: One" }], ["unread", { count: 1 }],
    ["message:sent", { text: "Two" }], ["twice", { text: "Two" }], ["message:received", { text: "You said: Two" }], ["unread", { count: 2 }],
    ["open", {}], ["unread", { count: 0 }], ["close", {}],
  ]);
  assert.equal(heard.filter(([name]) => name === "connection").at(-1)[1].state, "realtime");
  assert.equal(tab.takeComplaints(/a subscriber of this page failed/).length, 2);
});

test("who listens to escalate offers a person, and hands over the transcript", own, async (world) => {
  const tab = await bare(world);
  await connect(tab);
  await tab.page.evaluate(() => {
    window.client.on("message:received", () => {});
    window.client.sendMessage("Which quarterback won the championship in 1987?");
  });
  const { messages, sessionId } = await becomes(tab, (now) => now.messages.length === 3 && !now.answering && now.messages[2].state === "done" && now, "an answer that knows nothing");
  assert.equal((await state(tab)).offersPerson, false, "nobody could help");
  await tab.page.evaluate(() => { window.end = window.client.on("escalate", (escalation) => { window.escalation = escalation; }); });
  await becomes(tab, (now) => now.offersPerson, "an offer");
  await tab.page.evaluate(() => window.client.escalate({ reason: "wants a person", context: { page: "/bare" } }));
  const escalation = await until(() => tab.page.evaluate(() => window.escalation), "the event");
  assert.deepEqual(escalation, { reason: "wants a person", context: { page: "/bare", sessionId, transcript: messages.map(({ role, text }) => ({ role, text })) } });
  await tab.page.evaluate(() => window.end());
  await becomes(tab, (now) => !now.offersPerson, "no offer any more");
});

// What connect is refused with: the server's codes, and those of a page that cannot even ask.
const REFUSALS = [
  ["origin_not_allowed", { origins: () => ["https://other.example"] }, {}, async () => {}],
  ["client_key_unknown", {}, { embedKey: "pk_live_unknown" }, async () => {}],
  ["client_key_disabled", {}, {}, ({ server, key }) => server.cli("keys", "disable", key)],
  ["widget_disabled_for_agent", {}, {}, ({ server, agent }) => server.cli("agents", "update", agent, "--widget", "off")],
  ["guest_not_allowed", {}, {}, ({ server, agent }) => server.cli("agents", "update", agent, "--auth-mode", "user")],
  ["secret_key_in_browser", {}, { embedKey: "sk_live_secret" }, async () => {}],
  ["client_key_missing", {}, { embedKey: "" }, async () => {}],
  ["load_failed", {}, { baseUrl: "http://127.0.0.1:9" }, async () => {}],
];
for (const [code, options, mistake, arrange] of REFUSALS) {
  test(`connect is rejected with the code: ${code}`, { ...model, ...options }, async (world) => {
    await arrange(world);
    const tab = await bare(world, { options: mistake });
    tab.forgive(/Failed to load resource|\[karta\]/);
    assert.equal(await connect(tab), `KartaError ${code}`);
    const { error, connection, sessionId } = await state(tab);
    assert.equal(sessionId, null);
    if (code !== "client_key_missing") {
      assert.equal(error.code, code);
      assert.ok(error.fatal && error.message.length > 10, JSON.stringify(error));
    }
    assert.ok(["idle", "offline"].includes(connection), connection);
    assert.equal(tab.posts("/sessions").length, 0, "no session was made");
    assert.equal(await connect(tab), `KartaError ${code}`, "and again, for the same reason");
  });
}

test("a refusal that is healed: connect again, or identify", model, async (world) => {
  const { server, key, agent } = world;
  await server.cli("keys", "disable", key);
  const tab = await bare(world);
  tab.forgive(/Failed to load resource|\[karta\]/);
  assert.equal(await connect(tab), "KartaError client_key_disabled");
  await server.cli("keys", "enable", key);
  assert.equal(await connect(tab), "connected");
  await tab.page.evaluate(() => window.client.shutdown());

  const { proof } = await backend(world);
  await server.cli("agents", "update", agent, "--auth-mode", "user");
  assert.equal(await connect(tab), "KartaError guest_not_allowed");
  await tab.page.evaluate((identityToken) => window.client.identify({ userId: "ada", identityToken, attributes: { plan: "pro" } }), proof("ada"));
  await becomes(tab, (now) => now.sessionId && !now.error, "a session for who was identified");
  await tab.page.evaluate(() => window.client.sendMessage("It is me"));
  await becomes(tab, (now) => says(now, "agent", "You said: It is me"), "an answer");
});

test("a conversation that is ended by its owner: the state says so, and connect asks again", model, async (world) => {
  const { server, key } = world;
  const tab = await bare(world);
  tab.forgive(/Failed to load resource|\[karta\]/);
  await connect(tab);
  await tab.page.evaluate(() => window.client.sendMessage("Hello"));
  await becomes(tab, (now) => says(now, "agent", "You said: Hello"), "an answer");
  await server.cli("keys", "disable", key);
  const { error } = await becomes(tab, (now) => now.error, "the end", 30_000);
  assert.deepEqual([error.code, error.fatal], ["client_key_disabled", true]);
  assert.equal(await connect(tab), "KartaError client_key_disabled");
  await server.cli("keys", "enable", key);
  assert.equal(await connect(tab), "connected");
  await becomes(tab, (now) => says(now, "agent", "You said: Hello") && !now.error, "the same conversation");
});

test("a reset before anything else forgets the visitor of before", model, async (world) => {
  const tab = await bare(world);
  await connect(tab);
  await tab.page.evaluate(() => window.client.sendMessage("Hello"));
  await becomes(tab, (now) => says(now, "agent", "You said: Hello"), "an answer");
  await tab.goto("/bare.html");
  await until(() => tab.page.evaluate(() => "make" in window), "the page's script");
  await tab.page.evaluate(() => { window.client = window.make(); window.client.reset(); });
  await until(() => tab.page.evaluate(() => !Object.keys(localStorage).length), "nothing to be stored");
});

test("an engine that does not load at first is loaded by the next connect", { ...model, network: true }, async (world) => {
  const tab = await bare(world);
  let blocked = true;
  await tab.page.route(/headless-.*\.wasm/, (route) => (blocked ? route.abort() : route.continue()));
  assert.equal(await connect(tab), "KartaError load_failed");
  blocked = false;
  await tab.page.evaluate(() => window.client.sendMessage("Still here?"));
  await becomes(tab, (now) => says(now, "agent", "You said: Still here?") && !now.error, "an answer");
  await world.server.stop();
  const other = await bare(world);
  other.forgive(/./);
  assert.equal(await connect(other), "KartaError load_failed", "there is no server");
  await world.server.start();
  assert.equal(await connect(other), "connected");
});

test("a network that goes: connect says so and goes on trying; a message waits for it", { ...model, network: true, timeoutMs: 90_000 }, async (world) => {
  const tab = await bare(world);
  let blocked = true;
  await tab.page.route("**/api/**", (route) => (blocked ? route.abort() : route.continue()));
  assert.equal(await connect(tab), "KartaError unreachable");
  const { error } = await state(tab);
  assert.deepEqual([error.code, error.fatal], ["unreachable", false]);
  await tab.page.evaluate(() => window.client.sendMessage("Held back"));
  assert.ok(says(await state(tab), "user", "Held back", ["sending"]));
  const waits = connect(tab);
  blocked = false;
  await tab.page.evaluate(() => window.client.retry());
  assert.equal(await waits, "connected");
  await becomes(tab, (now) => says(now, "agent", "You said: Held back") && !now.error, "the answer", 30_000);
});

test("a turn that failed is tried again", model, async (world) => {
  const tab = await bare(world);
  await connect(tab);
  world.model.hold();
  await tab.page.evaluate(() => window.client.sendMessage("Try"));
  (await world.model.nextCall()).fail(401, "invalid_api_key");
  const failed = await becomes(tab, (now) => now.error, "the failure");
  assert.deepEqual([failed.error.code, failed.error.fatal], ["agent_failed", false]);
  world.model.answers("Now it works.");
  await tab.page.evaluate(() => window.client.retry());
  await becomes(tab, (now) => says(now, "agent", "Now it works.") && !now.error, "the answer");
});

test("stop ends an answer, and prompts are there until something is said", { ...model, agentArgs: ["--prompt", "Opening hours?", "--prompt", "Shipping?"] }, async (world) => {
  const tab = await bare(world);
  await connect(tab);
  assert.deepEqual((await state(tab)).prompts, ["Opening hours?", "Shipping?"]);
  world.model.hold();
  await tab.page.evaluate(() => window.client.sendMessage(window.client.getState().prompts[0]));
  const call = await world.model.nextCall();
  assert.deepEqual((await state(tab)).prompts, []);
  call.write("We are open ");
  await becomes(tab, (now) => says(now, "agent", "We are open", ["streaming"]), "the beginning");
  await tab.page.evaluate(() => window.client.stop());
  await becomes(tab, (now) => says(now, "agent", "We are open", ["interrupted"]) && !now.answering, "the end");
  await until(() => call.closed, "the model to be let go");
});

test("a limit: connect says so, the state counts down, and what is sent meanwhile waits", model, async (world) => {
  await world.server.cli("keys", "limit", world.key, "--sessions-per-day", "1");
  const tab = await bare(world);
  tab.forgive(/429/);
  assert.equal(await connect(tab), "connected");
  await world.server.cli("keys", "limit", world.key, "--tokens-per-day", "1");
  await tab.page.evaluate(() => window.client.sendMessage("One"));
  await becomes(tab, (now) => says(now, "agent", "You said: One"), "an answer");
  await tab.page.evaluate(() => {
    window.client.on("limit_reached", (limit) => { window.limit = limit; });
    window.client.sendMessage("Two");
  });
  const { limit } = await becomes(tab, (now) => now.limit && !now.canSend, "the limit");
  const told = await tab.page.evaluate(() => window.limit);
  assert.ok(told.retryAfterSeconds >= 1 && told.code === "limit_reached", JSON.stringify(told));
  await becomes(tab, (now) => now.limit?.retryAfterSeconds < limit.retryAfterSeconds, "one second less");

  const other = await bare(world);
  other.forgive(/429/);
  const [said, seconds] = await other.page.evaluate(() => window.client.connect().catch((error) => [error.code, error.retryAfterSeconds]));
  assert.ok(said === "limit_reached" && seconds >= 1, `${said}, for ${seconds} s`);
});

test("a tool asks, and acts on the answer to its own question only", { ...model, network: true, env: { KARTA_TOOL_SECRET: "0123456789abcdef0123456789abcdef" } }, async (world) => {
  const shop = await startShop(world);
  const tab = await bare(world);
  await connect(tab);
  for (const [allow, mark] of [[false, "✗"], [true, "✓"]]) {
    world.model.hold();
    await tab.page.evaluate(() => window.client.sendMessage("Cancel K-1042"));
    (await world.model.nextCall()).wants("cancel_order", { order: "K-1042" });
    const { tool, typing } = await becomes(tab, (now) => now.tool, "the question");
    assert.deepEqual([tool.title, tool.details, typing], [TITLE, "order: K-1042", false]);
    await tab.page.evaluate(() => window.client.confirmTool("another", true));
    await tab.page.evaluate(([id, allow]) => window.client.confirmTool(id, allow), [tool.requestId, allow]);
    const second = await world.model.nextCall();
    second.write("Noted.");
    second.end();
    await becomes(tab, (now) => !now.tool && !now.answering && says(now, "system", `${TITLE} ${mark}`), "what came of it");
  }
  assert.equal(shop.calls.length, 1, "what was not allowed was not done");
  await shop.close();
});

test("a call: begun, captioned, muted and ended by the page, with a microphone to choose", { ...model, agentArgs: ["--voice", "openai"], env: { OPENAI_STT_MODEL: "ears", OPENAI_TTS_MODEL: "mouth" }, timeoutMs: 180_000 }, async (world) => {
  const tab = await bare(world, { before: microphone({ question: RECORDING }) });
  world.model.answers("We open at eight.");
  const go = world.model.holdWords();
  await connect(tab);
  await tab.page.evaluate(() => {
    window.heard = [];
    for (const name of ["voice:started", "voice:muted", "voice:ended", "transcript"]) window.client.on(name, (payload) => window.heard.push([name, payload]));
  });
  const ready = await becomes(tab, (now) => now.voice.available && now.connection === "realtime", "an agent with a voice");
  assert.deepEqual([ready.voice.phase, ready.voice.microphones], ["off", []]);
  await tab.page.evaluate(() => window.client.startVoice());
  await becomes(tab, (now) => now.voice.phase === "listening" && now.voice.microphones.length, "a call", 60_000);
  await tab.page.evaluate(() => window.e2eVoice.say("question"));
  await becomes(tab, (now) => now.voice.captions.user?.startsWith("what are"), "a caption", 60_000);
  go();
  const answered = await becomes(tab, (now) => says(now, "agent", "We open at eight."), "the answer", 60_000);
  assert.ok(says(answered, "agent", "We open").spoken === false || says(answered, "user", "what are").spoken);
  await becomes(tab, (now) => now.voice.phase === "listening" && now.voice.captions.user === null, "the agent to listen again", 60_000);
  await tab.page.evaluate(() => window.client.mute());
  await becomes(tab, (now) => now.voice.muted && now.voice.phase === "muted", "silence");
  await tab.page.evaluate(() => window.client.unmute());
  await tab.page.evaluate(() => window.client.endVoice());
  const over = await becomes(tab, (now) => now.voice.phase === "off", "the end");
  assert.deepEqual([over.voice.ended, over.voice.muted, await tab.page.evaluate(() => window.client.getLevel())], [null, false, 0]);
  const heard = await tab.page.evaluate(() => window.heard);
  assert.deepEqual(heard.filter(([name]) => name.startsWith("voice:")), [["voice:started", {}], ["voice:muted", { muted: true }], ["voice:muted", { muted: false }], ["voice:ended", { reason: "ended" }]]);
  assert.ok(heard.some(([name, { role, final }]) => name === "transcript" && role === "user" && !final));
  assert.ok(heard.some(([name, { role, final }]) => name === "transcript" && role === "agent" && final));
  assert.ok(await tab.page.evaluate(() => window.e2eVoice.tracks.every((track) => track.readyState === "ended")), "the microphone is off");
});

test("a call that cannot be says why, and text goes on", { ...model, agentArgs: ["--voice", "off"] }, async (world) => {
  const tab = await bare(world);
  await connect(tab);
  await tab.page.evaluate(() => window.client.startVoice());
  const { voice } = await becomes(tab, (now) => now.voice.ended, "the reason");
  assert.deepEqual([voice.ended, voice.available, voice.phase], ["voice_unavailable", false, "off"]);
  await tab.page.evaluate(() => window.client.sendMessage("In writing, then"));
  await becomes(tab, (now) => says(now, "agent", "You said: In writing, then") && now.voice.ended === null, "an answer");
});

test("two clients and the prebuilt widget of one page are like tabs: one conversation, each its own calls", model, async (world) => {
  const tab = await bare(world, { address: "/beside.html" });
  await connect(tab);
  await tab.page.evaluate(() => window.client.sendMessage("From the first"));
  await becomes(tab, (now) => says(now, "agent", "You said: From the first"), "an answer");
  await tab.page.evaluate(() => { window.client.open(); window.other = window.make(); });
  const other = { page: { evaluate: () => tab.page.evaluate(() => window.other.getState()) } };
  assert.equal(await tab.page.evaluate(() => window.attempt(window.other)), "connected");
  await becomes(other, (now) => says(now, "agent", "You said: From the first"), "the history in the second");
  await tab.page.evaluate(() => window.other.sendMessage("From the second"));
  await becomes(tab, (now) => says(now, "agent", "You said: From the second"), "the same in the first");
  // The widget, which was there before the conversation began, hears of it.
  await tab.launcher.waitFor();
  await tab.openPanel();
  await tab.sees("agent", "You said: From the second");
  await tab.say("From the panel");
  for (const one of [tab, other]) await becomes(one, (now) => says(now, "agent", "You said: From the panel"), "what the panel said");
  assert.equal(new Set([(await state(tab)).sessionId, (await state(other)).sessionId]).size, 1);

  // One ends, and the others do not notice.
  await tab.page.evaluate(() => window.other.shutdown());
  await tab.page.evaluate(() => window.client.sendMessage("Still there?"));
  await becomes(tab, (now) => says(now, "agent", "You said: Still there?"), "an answer");
  await tab.sees("agent", "You said: Still there?");
  await tab.close.click();
  assert.equal((await state(tab)).open, true, "what is open is each one's own");
});

test("what the page's client has open does not open the prebuilt panel on the next page", model, async (world) => {
  const tab = await bare(world);
  await connect(tab);
  await tab.page.evaluate(() => { window.client.open(); window.client.sendMessage("Hello"); });
  await becomes(tab, (now) => says(now, "agent", "You said: Hello"), "an answer");
  await tab.load("/beside.html");
  await until(() => tab.requests.some((r) => r.url.includes("panel-")), "the widget's engine");
  await tab.page.evaluate(() => new Promise((done) => window.karta("on", "connection", ({ state }) => state === "realtime" && done()) ?? window.karta("sendMessage", "And here")));
  assert.ok(!(await tab.panel.isVisible()));
});

test("a reset anywhere on the page ends the conversation of all of it", model, async (world) => {
  const tab = await bare(world, { address: "/beside.html" });
  await connect(tab);
  await tab.page.evaluate(() => window.client.sendMessage("A secret"));
  const { sessionId } = await becomes(tab, (now) => says(now, "agent", "You said: A secret"), "an answer");
  await tab.launcher.waitFor();
  await tab.openPanel();
  await tab.sees("agent", "You said: A secret");
  await tab.page.evaluate(() => window.karta("reset"));
  tab.forgive(/Failed to load resource.*40[134]/);
  // Browsers tell other pages only: the client finds it out by itself, at the latest when its connection ends.
  await becomes(tab, (now) => now.connection === "idle" && !now.messages.length, "the end of the first's conversation", 30_000);
  assert.equal(await connect(tab), "connected");
  assert.notEqual((await state(tab)).sessionId, sessionId);
  await tab.page.evaluate(() => { window.other = window.make(); window.client.sendMessage("Another secret"); });
  await becomes(tab, (now) => says(now, "agent", "You said: Another secret"), "an answer");
  await tab.page.evaluate(() => window.attempt(window.other));
  await tab.page.evaluate(() => window.other.reset());
  await becomes(tab, (now) => now.connection === "idle" && !now.messages.length, "the end of it");
  assert.deepEqual(await tab.page.evaluate(() => ({ ...localStorage })), {});
});

test("a crash is contained: it is logged once, and the conversation comes back", model, async (world) => {
  const tab = await bare(world);
  await connect(tab);
  await tab.page.evaluate(() => window.client.sendMessage("Before"));
  const before = await becomes(tab, (now) => says(now, "agent", "You said: Before"), "an answer");
  await tab.page.evaluate(() => {
    window.received = [];
    window.started = 0;
    window.client.on("session:started", () => { window.started += 1; });
    window.client.on("message:received", ({ text }) => window.received.push(text));
    const real = performance.now;
    performance.now = () => {
      performance.now = real;
      throw new Error("a trap");
    };
    window.client.open();
  });
  await until(() => tab.complaints.some((c) => c.includes("internal: the client restarts")), "the log");
  await until(() => tab.requests.filter((r) => r.url.includes("headless-") && r.url.endsWith(".wasm")).length === 2, "another instance");
  await until(() => tab.page.evaluate(() => window.started === 1), "the conversation to come back by itself");
  await tab.page.evaluate(() => window.client.sendMessage("After"));
  const after = await becomes(tab, (now) => says(now, "agent", "You said: After"), "an answer");
  assert.ok(says(after, "agent", "You said: Before"));
  assert.equal(after.sessionId, before.sessionId);
  assert.deepEqual(await tab.page.evaluate(() => window.received), ["You said: After"]);
  assert.equal(tab.takeComplaints(/internal: the client restarts/).length, 1);
});

test("loadKarta puts the prebuilt widget on the page once, and tells what it hears", model, async (world) => {
  const tab = await bare(world);
  await tab.page.evaluate(() => {
    window.karta1 = window.load({ theme: { accent: "#112233", agentName: "Beans" } });
    window.karta2 = window.load();
    window.karta1.open();
  });
  await tab.panel.waitFor();
  assert.deepEqual(await tab.page.evaluate(() => [window.karta1 === window.karta2, document.scripts.length, document.querySelectorAll("karta-root").length]), [true, 2, 1]);
  const told = () => tab.page.evaluate(() => window.karta1.getState());
  await until(async () => (await told()).connection === "realtime", async () => JSON.stringify(await told()));
  const { sessionId, ready, open } = await told();
  assert.ok(sessionId && ready && open);
  assert.equal(await tab.panel.getAttribute("aria-label"), "Beans");
  await tab.page.evaluate(async () => {
    await window.karta1.loaded;
    window.texts = [];
    window.karta1.once("message:received", ({ text }) => window.texts.push(text));
    window.karta1.close();
    window.karta1.sendMessage("Hello");
  });
  await until(async () => (await told()).unread === 1, "an unread answer");
  assert.deepEqual(await tab.page.evaluate(() => window.texts), ["You said: Hello"]);
  assert.ok(await tab.page.evaluate(() => Object.isFrozen(window.karta1.getState()) && window.karta1.getState() === window.karta1.getState()));
  await tab.page.evaluate(() => window.karta1.shutdown());
  assert.equal(await tab.page.locator("karta-root").count(), 0);
  assert.equal((await told()).ready, false);
  tab.forgive(/already_mounted/);
});

test("loadKarta takes the tag that is there already", model, async (world) => {
  const tab = await bare(world, { address: "/beside.html" });
  await tab.launcher.waitFor();
  await tab.page.evaluate(async () => {
    await window.load().loaded;
    window.load().open();
  });
  await tab.panel.waitFor();
  assert.equal(await tab.page.evaluate(() => document.querySelectorAll('script[src*="karta.js"]').length), 1);
});

test("the package exports exactly this, and nothing of it needs a browser", {}, async () => {
  const { PACKAGE } = await import("../harness/modules.mjs");
  const manifest = JSON.parse(fs.readFileSync(path.join(PACKAGE, "package.json"), "utf8"));
  assert.deepEqual(Object.keys(manifest.exports), [".", "./react", "./package.json"]);
  assert.deepEqual([manifest.name, manifest.type, manifest.sideEffects, manifest.private, manifest.dependencies, manifest.peerDependenciesMeta], ["@karta/client", "module", false, true, undefined, { react: { optional: true } }]);
  assert.match(manifest.version, /^\d+\.\d+\.\d+$/);
  const client = await import(path.join(PACKAGE, manifest.exports["."].default));
  assert.deepEqual(Object.keys(client).sort(), ["KartaAgentClient", "KartaError", "loadKarta"]);
  assert.deepEqual(Object.getOwnPropertyNames(client.KartaAgentClient.prototype).sort(), [
    "close", "confirmTool", "connect", "constructor", "endVoice", "escalate", "getLevel", "getState", "identify", "mute", "off", "on", "once", "open", "reset", "resumeAudio",
    "retry", "sendMessage", "setMicrophone", "shutdown", "startVoice", "stop", "subscribe", "unmute", "update",
  ]);
  const react = await import(path.join(PACKAGE, manifest.exports["./react"].default));
  assert.deepEqual(Object.keys(react).sort(), ["KartaWidget", "useKartaAgent"]);
  assert.match(fs.readFileSync(path.join(PACKAGE, manifest.exports["./react"].default), "utf8"), /^"use client";/, "a framework with server components takes it for what it is");
  const options = { baseUrl: "https://agent.example", embedKey: "pk_live_xxx" };
  const alone = new client.KartaAgentClient(options);
  await assert.rejects(alone.connect(), { name: "KartaError", code: "no_browser" });
  for (const method of ["sendMessage", "retry", "stop", "open", "close", "startVoice", "endVoice", "mute", "unmute", "resumeAudio", "shutdown", "reset"]) alone[method]("x");
  assert.equal(alone.getState().connection, "idle");
  const widget = client.loadKarta(options);
  widget.open();
  assert.equal(widget.getState().ready, false);
});
