// The widget in a stock Firefox: what the other folders prove in Chromium, for each thing that a browser does in its own way.
import http from "node:http";
import path from "node:path";
import { PASTED_HOST } from "../../../scripts/static.mjs";
import { assert, test, until } from "../harness.mjs";
import { microphone } from "../harness/microphone.mjs";

const chat = { firefox: true, model: true };
/** What the server says of a page that was left: it asked to, or closed the connection itself. On a busy machine the first may not get out of a Firefox page that is gone. */
const GIVEN_UP = /method=DELETE path="[^"]*\/connect\/\{connection_id\}"|peer ended .*ClosedByRemote/;
const CHATTY = { KARTA_LOG: "info,karta_server::rtc=debug" };
const GREETING = "Hello! Ask me anything.";

/** The conversations that the page has talked in. */
const sessions = (page) => [...new Set(page.requests.map((r) => /\/sessions\/([^/?]+)/.exec(r.url)?.[1]).filter(Boolean))];
const said = async (page) => (await page.conversation()).map((m) => `${m.role}: ${m.text}`);

test("one tag gives a launcher, a click the panel, and a question is answered over a data channel", chat, async ({ tab, model }) => {
  const page = await (await tab()).load();
  assert.match(await page.page.evaluate(() => navigator.userAgent), /Firefox/);
  await page.listen();
  await page.openPanel();
  await page.realtime();
  await page.event("connection", (e) => e.state === "realtime");
  model.answers("It went by the channel, word for word.");
  const posts = page.posts("/events").length;
  await page.say("Which way does this go?");
  await page.sees("agent", "It went by the channel, word for word.");
  const { sent, received, channels } = await page.probe();
  assert.equal(channels, 1, "one data channel was opened");
  assert.equal(sent.filter((f) => f.includes("Which way does this go?")).length, 1, "the question is one frame on the channel");
  assert.equal(page.posts("/events").length, posts, "and no POST");
  assert.ok(received.map((f) => JSON.parse(f)).filter((e) => e.type === "agent.message" && e.delta).length > 1, "the answer was streamed in several frames");
});

test("a reload resumes the conversation", chat, async ({ tab, model }) => {
  const page = await (await tab()).load();
  await page.openPanel();
  await page.say("Remember the word heron");
  await page.sees("agent", "You said: Remember the word heron");
  await page.page.reload();
  await page.launcher.waitFor();
  await page.reveal();
  await page.sees("agent", "You said: Remember the word heron");
  await page.say("And now?");
  await page.sees("agent", "You said: And now?");
  assert.equal((await page.said("user")).length, 2, "what was said before is there once");
  assert.ok(model.calls.at(-1).messages.some((m) => m.content.includes("heron")), "the model is given the history");
  assert.equal(sessions(page).length, 1, "the same session");
});

test("without RTCPeerConnection the chat runs over HTTPS and an event stream", chat, async ({ tab, model }) => {
  const page = await (await tab({ before: () => { delete window.RTCPeerConnection; } })).load();
  await page.listen();
  await page.openPanel();
  model.hold();
  await page.say("Can you hear me?");
  const call = await model.nextCall();
  call.write("Loud ");
  await page.sees("agent", "Loud", ["streaming"]);
  call.write("and clear.");
  call.end();
  await page.sees("agent", "Loud and clear.");
  assert.equal(page.posts("/events").length, 1);
  assert.equal(page.posts("/connect").length, 0);
  assert.ok(page.requests.some((r) => r.url.includes("/events/stream")), "the answer came by the event stream");
  assert.ok(!(await page.events("connection")).some((e) => e.state === "realtime"));
  assert.deepEqual(await page.events("error"), []);
});

/** Leaves by the link on the page and comes back by the browser's button. Gives whether the page had been kept. */
async function awayAndBack(page, meanwhile = () => {}) {
  await page.page.evaluate(() => { window.e2eShown = new Promise((shown) => { addEventListener("pageshow", shown); }); });
  await page.page.locator("#on").click();
  await until(() => page.page.evaluate(() => location.pathname === "/other.html" && document.readyState === "complete"), "the other page");
  await meanwhile();
  await page.page.back();
  await until(() => page.page.evaluate(() => location.pathname === "/" && document.readyState === "complete"), "the first page");
  return page.page.evaluate(async () => Boolean((await window.e2eShown)?.persisted));
}

/** What the harness' customer sends by default (`no-store`) keeps a page out of a back-forward cache. And a link that the browser downloads. */
const keepable = { ...chat, headers: ({ pathname }) => ({ "cache-control": "no-cache", ...(pathname === "/prices.md" && { "content-disposition": "attachment" }) }) };

/** Firefox ends every request of a page that begins to load something in its place, also where that is a download and the page stays. */
async function download(page) {
  await page.page.locator("#prices").click();
  await until(() => page.requests.some((r) => r.url.endsWith("/prices.md")), "the download");
}

test("a download in the middle of an answer over HTTPS costs nothing of it", keepable, async ({ tab, model }) => {
  const page = await (await tab({ before: () => { delete window.RTCPeerConnection; } })).load();
  await page.listen();
  await page.openPanel();
  model.hold();
  await page.say("A long story");
  const call = await model.nextCall();
  call.write("Once upon ");
  await page.sees("agent", "Once upon", ["streaming"]);
  await download(page);
  call.write("a time.");
  call.end();
  await page.sees("agent", "Once upon a time.", ["done"]);
  assert.equal(page.requests.filter((r) => r.method === "GET" && r.url.includes("/events/stream")).length, 2, "the event stream was ended, and taken up again");
  assert.deepEqual(await said(page), [`agent: ${GREETING}`, "user: A long story", "agent: Once upon a time."]);
  assert.deepEqual(await page.events("error"), []);
});

/** The server as from far away: what fits `pattern` is on its way until it is let through. */
async function farAway(server, pattern) {
  const asked = [];
  let go;
  const near = new Promise((done) => { go = done; });
  const way = http.createServer(async (request, response) => {
    if (pattern.test(request.url)) {
      asked.push(request.url);
      await near;
    }
    const onward = http.request(server.http + request.url, { method: request.method, headers: request.headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    request.pipe(onward);
  });
  await new Promise((done) => { way.listen(0, "127.0.0.1", done); });
  return { page: `/?via=http://127.0.0.1:${way.address().port}`, asked, go, close: () => { way.close(); way.closeAllConnections(); } };
}
const fromFar = { ...keepable, rewrite: (html, { searchParams }) => html.replaceAll(PASTED_HOST, searchParams.get("via")) };

for (const [what, pattern] of [["config", /widget\/config/], ["button", /launcher-.*wasm/], ["engine", /panel-.*wasm/]]) {
  test(`a download while the ${what} is on its way does not cost the page its chat, nor is there a word about it`, fromFar, async ({ tab, server }) => {
    const way = await farAway(server, pattern);
    const page = await (await tab()).goto(way.page);
    await until(() => way.asked.length, `the ${what} to be asked for`);
    await download(page);
    way.go();
    await page.launcher.waitFor();
    await page.openPanel();
    await page.sees("agent", GREETING);
    await page.say("Are you there?");
    await page.sees("agent", "You said: Are you there?");
    assert.equal(way.asked.length, 2, "it was lost, and asked for again");
    way.close();
  });
}

test("a page that is left while the widget is on its way says nothing about it", fromFar, async ({ tab, server }) => {
  const way = await farAway(server, /launcher-.*wasm/);
  const page = await (await tab()).goto(way.page);
  await until(() => way.asked.length, "the button to be asked for");
  await awayAndBack(page, way.go);
  await page.launcher.waitFor();
  way.close();
});

test("the widget does not keep a page out of the back-forward cache, and works when it comes out of it", keepable, async ({ tab }) => {
  const page = await (await tab()).load();
  await until(() => page.requests.some((r) => /panel-.*wasm/.test(r.url)), "the engine, which comes by itself");
  await until(() => page.page.evaluate(() => !document.querySelector("karta-root").shadowRoot.querySelector("[aria-busy]")), "it to be there");
  assert.ok(await awayAndBack(page), "the page was kept");
  await page.openPanel();
  await page.realtime();
  await page.say("Now that I am back");
  await page.sees("agent", "You said: Now that I am back");
  assert.equal((await page.probe()).sent.filter((f) => f.includes("Now that I am back")).length, 1, "by the channel");
});

/** HTTPS only, and a network that can be taken away: what is asked for then fails at once, so no request is under way by which Firefox would let go of the page. */
function fragile() {
  delete window.RTCPeerConnection;
  const real = window.fetch;
  Object.assign(window, { e2eDown: false, e2eRefused: [] });
  window.fetch = function (...args) {
    if (!window.e2eDown) return real.apply(this, args);
    window.e2eRefused.push(String(args[0].url ?? args[0]));
    return Promise.reject(new TypeError("no network"));
  };
  addEventListener("pageshow", () => { window.e2eDown = false; });
}

test("a conversation whose page was kept while the server was away goes on", { ...keepable, network: true }, async ({ tab, server }) => {
  const page = await (await tab({ before: fragile })).load();
  await page.openPanel();
  await page.say("Before I go");
  await page.sees("agent", "You said: Before I go");
  await page.page.evaluate(() => { window.e2eDown = true; });
  await server.kill();
  await page.say("Nobody is there");
  await page.sees("user", "Nobody is there", ["sending"]);
  await until(() => page.page.evaluate(() => window.e2eRefused.some((url) => url.includes("/events/stream"))), "the end of the stream to be seen");
  assert.ok(await awayAndBack(page, () => server.start()), "the page was kept");
  await page.sees("agent", "You said: Nobody is there");
  await page.say("And now?");
  await page.sees("agent", "You said: And now?");
  assert.deepEqual(await said(page), [
    `agent: ${GREETING}`, "user: Before I go", "agent: You said: Before I go", "user: Nobody is there", "agent: You said: Nobody is there", "user: And now?", "agent: You said: And now?",
  ]);
  assert.equal(sessions(page).length, 1, "the same session");
});

test("back on a page with an open channel, which Firefox loads anew, the conversation goes on", { ...keepable, env: CHATTY }, async ({ tab, model, server }) => {
  const page = await (await tab()).load();
  await page.openPanel();
  await page.realtime();
  model.hold();
  await page.say("A long story");
  const call = await model.nextCall();
  call.write("Once upon ");
  await page.sees("agent", "Once upon", ["streaming"]);
  await download(page);
  call.write("a ");
  await page.sees("agent", "Once upon a", ["streaming"]);
  assert.equal((await page.probe()).channels, 1, "the channel is no request: a download does not end it");
  assert.equal(await awayAndBack(page), false, "Firefox decides before `pagehide`, and keeps no page with a peer connection");
  await until(() => GIVEN_UP.test(server.log()), "the channel to be given up");
  await page.panel.waitFor();
  call.write("time.");
  call.end();
  await page.sees("agent", "Once upon a time.", ["done"]);
  await page.realtime();
  model.answers("The end.");
  await page.say("And then?");
  await page.sees("agent", "The end.");
  assert.equal((await page.probe()).sent.filter((f) => f.includes("And then?")).length, 1, "by the channel");
  assert.deepEqual(await said(page), [`agent: ${GREETING}`, "user: A long story", "agent: Once upon a time.", "user: And then?", "agent: The end."]);
  assert.equal(sessions(page).length, 1, "the same session");
});

test("by keyboard alone: Tab reaches the launcher, Enter opens and sends, Escape gives the focus back", chat, async ({ tab }) => {
  const page = await (await tab()).load();
  const focused = () => page.page.evaluate(() => document.activeElement.shadowRoot?.activeElement?.getAttribute("part") ?? document.activeElement.id);
  const on = (part) => until(async () => (await focused())?.split(" ").includes(part), async () => `the focus on ${part}; it is on "${await focused()}"`);
  const { keyboard } = page.page;
  await page.page.locator("#prices").focus();
  await keyboard.press("Tab");
  await on("launcher");
  await keyboard.press("Enter");
  await page.panel.waitFor();
  await until(() => page.field.evaluate((e) => e.getRootNode().activeElement === e), async () => `the focus in the field; it is on "${await focused()}"`);
  await keyboard.type("line one");
  await keyboard.press("Shift+Enter");
  await keyboard.type("line two");
  assert.equal(await page.field.inputValue(), "line one\nline two");
  await keyboard.press("Enter");
  await page.sees("agent", "You said: line one");
  assert.equal(await page.field.inputValue(), "");
  await keyboard.press("Escape");
  await page.panel.waitFor({ state: "hidden" });
  await on("launcher");
});

test("kill -9 of the server in the middle of an answer loses and doubles nothing", { ...chat, network: true, waits: true }, async ({ tab, server, model }) => {
  const page = await (await tab()).load();
  await page.openPanel();
  await page.say("First question");
  await page.sees("agent", "You said: First question");
  await page.realtime();
  model.hold();
  const before = model.calls.length;
  const call = (count) => until(() => model.calls[before + count], `model call ${count} from here`);
  await page.say("Second question");
  (await call(0)).write("This half will be ");
  await page.sees("agent", "This half will be", ["streaming"]);
  await server.kill();
  await page.say("Third question");
  await page.sees("user", "Third question", ["sending"]);
  await server.start();
  const again = await call(1);
  again.write("The whole answer.");
  again.end();
  const third = await call(2);
  third.write("And the third.");
  third.end();
  await page.sees("agent", "The whole answer.", ["done"], 30_000);
  await page.sees("agent", "And the third.", ["done"]);
  await page.sees("user", "Third question", ["sent"]);
  await until(async () => (await page.log()).at(-1).type === "session.status_idle", "the end of the last turn");
  const log = await page.log();
  const texts = (type) => log.filter((e) => e.type === type).map((e) => e.text);
  assert.deepEqual(texts("user.message"), ["First question", "Second question", "Third question"]);
  assert.deepEqual(texts("agent.message"), ["You said: First question", "The whole answer.", "And the third."]);
  assert.deepEqual((await page.said("user")).map((m) => m.text), texts("user.message"));
  assert.deepEqual((await page.said("agent")).map((m) => m.text).sort(), [GREETING, ...texts("agent.message")].sort());
  assert.equal(model.calls.length, before + 3, "each turn was run once, and the one that was cut once more");
  await until(async () => (await page.probe()).channels >= 2, "a data channel with the new server");
});

test("what Firefox's console holds against a page is heard by these tests", { firefox: true }, async ({ tab }) => {
  const page = await (await tab()).load();
  await page.page.evaluate(() => {
    console.warn("a warning");
    console.error("an error");
    setTimeout(() => { throw new Error("an exception"); });
    Promise.reject(new Error("a rejection"));
  });
  await until(() => page.complaints.length === 4, () => `four complaints among ${JSON.stringify(page.complaints)}`);
  for (const words of ["a warning", "an error", "an exception", "a rejection"]) assert.equal(page.takeComplaints(new RegExp(words)).length, 1, words);
});

// ---- Calls -----------------------------------------------------------------------------------------------------------

const QUESTION = path.resolve(import.meta.dirname, "../../../fixtures/voice/opening-hours.wav");
const ANSWER = "At eight.";
/** What the demonstration engine makes of synthetic speech: now and then a small word is wrong. */
const isAsked = (text) => ["what", "are", "your", "opening", "hours"].filter((word) => ` ${text} `.includes(` ${word} `)).length >= 4;
const PATIENCE = 60_000;
const local = { ...chat, waits: true, agentArgs: ["--voice", "local"], timeoutMs: 120_000 };
/** Speech comes from the model's stand-in, at once. */
const mouthed = { ...chat, agentArgs: ["--voice", "openai"], env: { OPENAI_STT_MODEL: "ears", OPENAI_TTS_MODEL: "mouth" } };

/** The call is, or has been since it was last looked at for it, in this state: a short answer is over before a busy machine looks again. */
const was = (page, state) => until(() => page.page.evaluate((state) => {
  const at = window.e2eStates.indexOf(state);
  return at >= 0 && window.e2eStates.splice(0, at + 1);
}, state), async () => `the call ${state}; since: ${await page.page.evaluate(() => window.e2eStates)}`, PATIENCE);
const shows = (page, state) => page.panel.locator(`.call[data-state="${state}"]`).waitFor({ timeout: PATIENCE });
const tracks = (page) => page.page.evaluate(() => window.e2eVoice.tracks.map((track) => ({ state: track.readyState, enabled: track.enabled })));
const button = (page, name) => page.panel.locator(`[aria-label="${name}"]`);

async function callUp(page) {
  await page.listen();
  // What the microphone is at the moment at which the page is told of the end.
  await page.page.evaluate(() => window.karta("on", "voice:ended", () => { window.e2eAtEnd = window.e2eVoice.tracks.map((track) => track.readyState); }));
  await page.openPanel();
  await page.page.evaluate(() => {
    const bar = document.querySelector("karta-root").shadowRoot.querySelector(".call");
    window.e2eStates = [];
    new MutationObserver(() => window.e2eStates.push(bar.dataset.state)).observe(bar, { attributeFilter: ["data-state"] });
  });
  await page.voice.click();
  await page.event("voice:started");
  await shows(page, "listening");
}

/** Whether the agent's voice has come in and is played: by Firefox's own count of its energy, and by the element that plays it. */
const heard = (page) => until(() => page.page.evaluate(async () => {
  let energy = 0;
  for (const peer of window.e2ePeers) {
    if (peer.connectionState !== "closed") (await peer.getStats()).forEach((stat) => { if (stat.type === "inbound-rtp") energy += stat.totalAudioEnergy ?? 0; });
  }
  return energy > 0.01 && window.e2eVoice.sounds.some((sound) => !sound.paused && !sound.muted && sound.srcObject.active);
}), "the agent to be heard", PATIENCE);

async function hangUp(page) {
  await button(page, "End call").click();
  assert.equal((await page.event("voice:ended")).reason, "ended");
  assert.deepEqual(await page.page.evaluate(() => window.e2eAtEnd), ["ended"], "the microphone is off at once");
  assert.ok(await page.panel.locator(".call").isHidden());
}

test("a call: what is said becomes text, and the answer is heard", local, async ({ tab, model }) => {
  const page = await (await tab({ before: microphone({ question: QUESTION }) })).load();
  model.answers(ANSWER);
  await callUp(page);
  await page.page.evaluate(() => window.e2eVoice.say("question"));
  await until(async () => (await page.said("user")).some((m) => m.state === "sent" && isAsked(m.text)), async () => `the question among ${await said(page)}`, PATIENCE);
  await was(page, "speaking");
  await heard(page);
  await page.sees("agent", ANSWER, ["done"], PATIENCE);
  await shows(page, "listening");
  assert.deepEqual((await page.log()).map((e) => e.type), ["user.transcript", "session.status_running", "agent.message", "session.status_idle"]);
  await hangUp(page);
});

test("a call with the browser's own microphone: what is typed is answered aloud, mute, and the end takes the microphone back", mouthed, async ({ tab, model }) => {
  const page = await (await tab({ before: microphone() })).load();
  model.answers(ANSWER);
  await callUp(page);
  assert.equal(await page.page.evaluate(() => window.e2eVoice.count), 1, "it was asked for once");
  assert.deepEqual(await tracks(page), [{ state: "live", enabled: true }]);
  const sent = () => page.page.evaluate(async () => [...(await window.e2ePeers.at(-1).getStats()).values()].find((stat) => stat.type === "outbound-rtp").bytesSent);
  const before = await sent();
  await until(async () => (await sent()) > before + 1000, "its sound on the way to the server");
  await page.say("What are your opening hours?");
  await was(page, "speaking");
  await heard(page);
  await page.sees("agent", ANSWER, ["done"]);
  const mute = button(page, "Mute microphone");
  await mute.click();
  await shows(page, "muted");
  assert.deepEqual(await tracks(page), [{ state: "live", enabled: false }]);
  await mute.click();
  await shows(page, "listening");
  assert.deepEqual(await tracks(page), [{ state: "live", enabled: true }]);
  const frames = (await page.probe()).sent.map((frame) => JSON.parse(frame).type).filter((type) => type.startsWith("voice."));
  assert.deepEqual(frames, ["voice.start", "voice.mute", "voice.unmute"], "the server is told");
  await hangUp(page);
  assert.equal(await page.launcher.getAttribute("aria-expanded"), "true", "the chat goes on");
  model.answers("In writing.");
  await page.say("And now?");
  await page.sees("agent", "In writing.");
});

test("a page that is left in a call ends it and lets the microphone go; back on it, the conversation goes on", { ...mouthed, env: { ...mouthed.env, ...CHATTY } }, async ({ tab, model, server }) => {
  const page = await (await tab({ before: microphone() })).load();
  model.answers(ANSWER);
  await callUp(page);
  await page.say("What are your opening hours?");
  await page.sees("agent", ANSWER, ["done"]);
  await awayAndBack(page, () => until(() => GIVEN_UP.test(server.log()), "the connection to be ended"));
  await page.panel.waitFor();
  await page.sees("agent", ANSWER);
  assert.equal(await page.page.evaluate(() => window.e2eVoice.count), 0, "no microphone is asked for");
  assert.ok(await page.panel.locator(".call").isHidden());
  model.answers("In writing.");
  await page.say("And now?");
  await page.sees("agent", "In writing.");
  assert.equal(sessions(page).length, 1, "the same session");
});
