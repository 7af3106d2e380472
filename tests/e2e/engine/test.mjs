// Calls that go to a realtime engine: the real Pipecat, and a stand-in for OpenAI's Realtime API. The microphone is a recorded question.
import path from "node:path";
import { assert, test, until } from "../harness.mjs";
import { microphone } from "../harness/microphone.mjs";
import { startPaths } from "../harness/udp.mjs";

const ASKED = "what are your opening hours";
const SLOW = 40_000;

/** A figure of the sound that comes from the agent, of all connections together. */
const inbound = (page, figure) => page.page.evaluate(async (name) => {
  let sum = 0;
  for (const peer of window.e2ePeers) for (const report of (await peer.getStats()).values()) if (report.type === "inbound-rtp") sum += report[name] ?? 0;
  return sum;
}, figure);
const energy = (page) => inbound(page, "totalAudioEnergy");
/** Seconds, silence included. */
const played = (page) => inbound(page, "totalSamplesDuration");

const talk = async (page) => {
  await page.voice.click();
  await until(async () => (await page.events("voice:started")).length, async () => `voice:started among ${JSON.stringify(await page.events())}`, SLOW);
};
/** A microphone that says nothing until the test does. */
const RECORDING = path.resolve(import.meta.dirname, "../../../fixtures/voice/opening-hours.wav");
const spoken = { before: microphone({ question: RECORDING }, { alive: true }) };
const speak = (page) => page.page.evaluate(() => window.e2eVoice.say("question"));

/** Times that a bot said how far it has spoken. */
const progress = (page) => page.page.evaluate(() => window.e2eProbe.received.filter((frame) => /"spoken_status": ?"(in-progress|completed)"|"spoken": ?true/.test(frame)).length);

/** Asks for something long, and hears of it for so many seconds; of a bot so much that it says itself that something was heard. */
async function listenTo(page, engine, seconds) {
  const [told, before] = [await progress(page), await energy(page)];
  await page.say("tell me a long story");
  await page.sees("agent", engine === "pipecat" ? "sentence number 1" : "long story", ["streaming"], SLOW);
  await until(async () => await energy(page) > before + 0.001, "sound", SLOW);
  const start = await played(page);
  await until(async () => await played(page) > start + seconds, `${seconds} seconds of it`, SLOW);
  if (engine === "pipecat") await until(async () => await progress(page) > told, "the bot's word that something was heard", SLOW);
}

/**
 * The visitor's words, spoken over the story, and what was said to them. Which words a busy machine recognises in what it has cut is another matter, so
 * any will do.
 */
const answered = (page, states) => until(async () => {
  const all = await page.conversation();
  const asked = all.findLastIndex((m) => m.role === "user");
  return !all[asked].text.includes("long story") && all.slice(asked).find((m) => m.role === "agent" && states.includes(m.state));
}, async () => `an answer to what was spoken over the story in ${JSON.stringify(await page.conversation())}`, SLOW);

const hangUp = (page) => page.page.evaluate(() => window.karta("endVoice"));

async function open(tab, options = {}) {
  const page = await (await tab(options)).load();
  await page.listen();
  await page.openPanel();
  return page;
}

for (const engine of ["pipecat", "openai"]) {
  const options = { model: true, engine, timeoutMs: 150_000, browser: { microphone: RECORDING } };

  test(`${engine}: a question asked aloud is answered aloud, and both stand in the log`, options, async ({ tab, engine: peer }) => {
    const page = await open(tab, spoken);
    await page.say("Hello there");
    await page.sees("agent", "You said: Hello there");
    await talk(page);
    await page.panel.locator('.call[data-state="listening"]').waitFor({ timeout: SLOW });
    await speak(page);
    await page.sees("user", ASKED, ["sent"], SLOW);
    await page.sees("agent", "We are open from nine to five.", ["streaming", "done"], SLOW);
    await page.sees("agent", "We are open from nine to five.", ["done"], SLOW);
    assert.ok(await energy(page) > 0.001, `the answer was heard (${await energy(page)})`);
    await hangUp(page);
    await page.event("voice:ended", (e) => e.reason === "ended");
    const handed = (await page.log()).filter((e) => e.handed).map((e) => [e.type, e.text]);
    assert.equal(handed[0][0], "user.transcript");
    assert.ok(handed[0][1].toLowerCase().startsWith(ASKED), handed[0][1]);
    assert.equal(handed[1][0], "agent.message");
    assert.ok(handed[1][1].startsWith("We are open from nine to five."), handed[1][1]);
    // What the engine was told at the start, and that it knows of the end.
    if (engine === "pipecat") {
      assert.deepEqual(peer.told().messages, [{ role: "user", content: "Hello there" }, { role: "assistant", content: "You said: Hello there" }]);
      assert.match(peer.told().language, /^en/);
      await until(() => peer.log().includes("bot: its client has gone"), () => `the bot's end in ${peer.log().slice(-2_000)}`);
    } else {
      assert.match(peer.calls[0].session.instructions, /Visitor: Hello there\nYou: You said: Hello there/);
      await until(() => peer.calls[0].ended, "the engine to be told to hang up");
    }
    // Text is text again, and its model knows what was said: the agent's words as the visitor's report.
    await page.say("Thanks");
    await page.sees("agent", "as my browser reports it: We are open from nine to five.");
    await page.page.reload();
    await page.reveal();
    await page.sees("user", ASKED);
    await page.sees("agent", "We are open from nine to five.");
  });

  test(`${engine}: what is typed in a call is answered aloud, and cuts what is being said`, options, async ({ tab, engine: peer }) => {
    const page = await open(tab, spoken);
    await talk(page);
    await listenTo(page, engine, 3);
    await page.say("stop");
    await page.sees("agent", engine === "pipecat" ? "You said: stop" : "You typed: stop", ["streaming", "done"], SLOW);
    await page.sees("agent", engine === "pipecat" ? "You said: stop" : "You typed: stop", ["done"], SLOW);
    await hangUp(page);
    if (engine === "openai") {
      const client = await peer.judged("rtc_1");
      const kinds = client.map((e) => e.type).filter((type) => type !== "response.cancel");
      assert.deepEqual(kinds, ["conversation.item.create", "response.create", "output_audio_buffer.clear", "conversation.item.create", "response.create"]);
    }
    const log = (await page.log()).filter((e) => e.text);
    assert.ok(log.every((e) => e.handed), JSON.stringify(log));
    assert.deepEqual(log.filter((e) => e.type === "user.message").map((e) => e.text), ["tell me a long story", "stop"]);
    const stories = log.filter((e) => e.type === "agent.message" && e.text.startsWith("This is"));
    await keepsWhatWasHeard(engine, stories, peer);
  });

  test(`${engine}: who speaks over the agent silences it at once, and only what was heard stays`, options, async ({ tab, engine: peer }) => {
    const page = await open(tab, spoken);
    await talk(page);
    await listenTo(page, engine, 3);
    const [heard, muted] = await page.page.evaluate(() => [window.e2eProbe.received.length, window.e2eVoice.muting.length]);
    await speak(page);
    const word = engine === "pipecat" ? "bot-interrupted" : "input_audio_buffer.speech_started";
    const cut = await until(() => page.page.evaluate(([kind, from]) => {
      const at = window.e2eProbe.received.findIndex((frame, n) => n >= from && frame.includes(`"${kind}"`));
      return at >= 0 && window.e2eProbe.times[at];
    }, [word, heard]), word, SLOW);
    const silent = await page.page.evaluate((from) => window.e2eVoice.muting.slice(from).find((change) => change.value)?.at, muted);
    assert.ok(silent - cut < 50, `silent ${silent - cut} ms after the word of the engine`);
    await answered(page, ["done"]);
    assert.equal(await page.page.evaluate(() => window.e2eVoice.sounds.at(-1).muted), false, "the answer is heard again");
    await hangUp(page);
    const log = (await page.log()).filter((e) => e.text);
    const told = log.map((e) => [e.type, Boolean(e.interrupted)]);
    assert.deepEqual(told, [["user.message", false], ["agent.message", true], ["user.transcript", false], ["agent.message", false]], JSON.stringify(log));
    await keepsWhatWasHeard(engine, [log[1]], peer);
    await page.sees("agent", log[1].text, ["interrupted"]);
    // The vendor's server cuts by itself; a client has nothing to say.
    if (engine === "openai") assert.deepEqual((await peer.judged("rtc_1")).map((e) => e.type), ["conversation.item.create", "response.create"]);
  });

  test(`${engine}: a call goes on over a kill -9 of the server, and nothing that is said is lost`, { ...options, network: true, waits: true }, async ({ tab, server, engine: peer }) => {
    const page = await open(tab, spoken);
    await talk(page);
    await listenTo(page, engine, 3);
    await server.kill();
    // Nobody listens but the engine: the story is cut, a question asked and answered.
    await speak(page);
    await answered(page, ["streaming", "done"]);
    await new Promise((done) => setTimeout(done, 4_000));
    await server.start();
    const kept = async () => (await page.log()).filter((e) => e.text);
    await until(async () => (await kept()).length >= 4, async () => `all lines in the log: ${JSON.stringify(await kept())}`, SLOW);
    const log = await kept();
    assert.deepEqual(log.map((e) => [e.type, Boolean(e.interrupted)]), [["user.message", false], ["agent.message", true], ["user.transcript", false], ["agent.message", false]], JSON.stringify(log));
    assert.ok(log.every((e) => e.handed));
    await page.sees("user", log[2].text, ["sent"]);
    // It is the same call, and what is typed is still its engine's to answer.
    await page.say("Are you still there?");
    const answer = engine === "pipecat" ? "You said: Are you still there?" : "You typed: Are you still there?";
    await page.sees("agent", answer, ["done"], SLOW);
    assert.equal((await page.events("voice:started")).length, 1);
    assert.deepEqual(await page.events("voice:ended"), []);
    await hangUp(page);
    await page.event("voice:ended", (e) => e.reason === "ended");
    if (engine === "pipecat") await until(() => peer.log().includes("bot: its client has gone"), "the bot's end", SLOW);
    else await until(() => peer.calls[0].ended, "the engine to be told to hang up", SLOW);
    assert.match(server.log(), /going on with calls of a process that died/);
    missesOnlyTheTextsConnection(page, server);
  });

  test(`${engine}: an engine that goes in the middle of a call is told of, and text goes on`, { ...options, network: true }, async ({ tab, engine: peer }) => {
    const page = await open(tab, spoken);
    await talk(page);
    if (engine === "pipecat") await peer.close(); else await peer.vanish("rtc_1");
    await until(async () => (await page.events("voice:ended")).length, async () => `voice:ended among ${JSON.stringify(await page.events())}`, SLOW);
    page.forgive(/502/);
    await page.say("Are you still there?");
    await page.sees("agent", "You said: Are you still there?");
  });
}

/** Of a story of twelve sentences only the beginning stays, and, where the engine says how long it was played, so much of it. */
async function keepsWhatWasHeard(engine, stories, peer) {
  assert.equal(stories.length, 1, JSON.stringify(stories));
  const [{ text, interrupted }] = stories;
  assert.ok(interrupted && text.length < 300, text);
  if (engine !== "openai") return;
  const { truncations } = await peer.wire("rtc_1");
  // The stand-in takes 60 ms for a character, which the widget cannot know: it is off by a tenth, and by the word that was cut.
  const played = truncations[0].audio_end_ms / 60;
  assert.ok(text.length <= played + 1 && text.length > played * 0.85 - 10, `${text.length} characters of ${played} that were played: ${text}`);
}

/** While a call runs, a path that breaks is restarted first: that of the text's connection died with its server. */
function missesOnlyTheTextsConnection(page, server) {
  const missed = server.log().split("\n").filter((line) => line.includes("status=404"));
  assert.ok(missed.every((line) => line.includes("method=PATCH") && line.includes("/connect/")), missed.join("\n"));
  page.forgive(/status of 404/);
}

test("openai: a call that is ended while the server is dead is over when it is back", { waits: true, model: true, engine: "openai", timeoutMs: 150_000, network: true, browser: { microphone: RECORDING } }, async ({ tab, server, engine: peer }) => {
  const page = await open(tab, spoken);
  await talk(page);
  await listenTo(page, "openai", 2);
  await server.kill();
  await hangUp(page);
  await page.event("voice:ended", (e) => e.reason === "ended");
  assert.ok(!peer.calls[0].ended);
  await server.start();
  await until(() => peer.calls[0].ended, "the engine to be told to hang up", SLOW);
  // The last words came too, and text is text again.
  await until(async () => (await page.log()).some((e) => e.interrupted && e.handed), async () => `the story in the log: ${JSON.stringify(await page.log())}`, SLOW);
  await page.say("Thanks");
  await page.sees("agent", "Thanks", ["done"], SLOW);
  missesOnlyTheTextsConnection(page, server);
});

test("openai: the vendor's own client takes the stand-in for its server, and says what ours says", { model: true, engine: "openai", timeoutMs: 150_000, browser: { microphone: RECORDING } }, async ({ engine: peer }) => {
  const tab = await peer.client();
  const does = (what, given) => tab.evaluate(([name, argument]) => window.official.session[name](argument), [what, given]);
  const playing = () => tab.evaluate(() => window.official.seen.history.at(-1)?.role === "assistant");
  /** So many answers are written to their end or cancelled, as the client has read, and the last one is to be heard. */
  const written = (count) => until(() => tab.evaluate((n) => window.official.seen.written >= n && window.official.seen.audible >= n, count), async () => `${count} answers in ${JSON.stringify(await tab.evaluate(() => window.official.seen))}`, SLOW);
  const sent = async () => (await peer.wire("rtc_1")).heard.map((e) => e.type).filter((type) => !["session.update", "conversation.item.retrieve"].includes(type));
  await does("sendMessage", "tell me a long story");
  await until(playing, "an answer", SLOW);
  await written(1);
  // By order, all of it being written by then: as our stop does.
  await does("interrupt");
  await until(async () => (await sent()).length === 3, async () => `the stop: ${await sent()}`, SLOW);
  assert.deepEqual(await sent(), ["conversation.item.create", "response.create", "output_audio_buffer.clear"]);
  await until(async () => (await peer.wire("rtc_1")).truncations.length === 1, "the first to be truncated", SLOW);
  // By order while it is being written: what is asked then waits for its end, as ours does.
  await does("sendMessage", "tell me a long story");
  await until(async () => (await sent()).length === 5 && await playing(), "the second answer", SLOW);
  await does("interrupt");
  await does("sendMessage", "stop");
  await until(async () => (await sent()).length === 9, async () => `the next question: ${await sent()}`, SLOW);
  assert.deepEqual((await sent()).slice(3), ["conversation.item.create", "response.create", "response.cancel", "output_audio_buffer.clear", "conversation.item.create", "response.create"]);
  // By voice: nothing is sent.
  await does("sendMessage", "tell me a long story");
  await until(async () => (await sent()).length === 11 && await playing(), "the last question, and its answer", SLOW);
  await written(4);
  const before = (await peer.wire("rtc_1")).truncations.length;
  await tab.evaluate(() => window.official.speak(600));
  await until(async () => (await peer.wire("rtc_1")).truncations.length > before, "the last story to be truncated", SLOW);
  assert.equal((await sent()).length, 11);
  assert.deepEqual(await tab.evaluate(() => window.official.seen.errors), []);
  // It has read every event as one of its own kinds.
  await tab.close();
});

const pipecat = { model: true, engine: "pipecat", timeoutMs: 150_000, browser: { microphone: RECORDING } };
const frames = (page, kind) => page.page.evaluate((kind) => window.e2eProbe.received.filter((frame) => frame.includes(`"${kind}"`)).length, kind);

test("pipecat: a call waits for a network that lets nothing through, and comes back with it", { ...pipecat, waits: true }, async ({ tab }) => {
  const paths = await startPaths();
  const page = await tab(spoken);
  await paths.lead(page.page);
  await page.load();
  await page.listen();
  await page.openPanel();
  await talk(page);
  await page.say("into the tunnel");
  await page.sees("agent", "You said: into the tunnel", ["done"], SLOW);
  paths.blocked = true;
  const state = () => page.panel.locator(".call").getAttribute("data-state");
  await until(async () => (await state()) === "reconnecting", "the call to notice", SLOW);
  await until(() => page.posts("/call").length === 2, "another call to be tried", SLOW);
  assert.deepEqual(await page.page.evaluate(() => window.e2eVoice.tracks.map((track) => track.readyState)), ["live"], "the microphone is kept");
  paths.blocked = false;
  const since = Date.now();
  await until(async () => (await state()) === "listening", "the agent to listen again", SLOW);
  const ms = Date.now() - since;
  assert.ok(ms < 3000, `back after ${ms} ms`);
  assert.deepEqual(await page.events("voice:ended"), []);
  assert.equal((await page.events("voice:started")).length, 1, "the same call");
  await page.say("after the tunnel");
  await page.sees("agent", "You said: after the tunnel", ["done"], SLOW);
  await hangUp(page);
  paths.close();
});

test("pipecat: while a tool works, the screen says that the agent thinks", pipecat, async ({ tab }) => {
  const page = await open(tab, spoken);
  await talk(page);
  await page.say("where is my order");
  await page.sees("agent", "One moment.", ["done"], SLOW);
  // Before the model writes again, which would say so as well.
  await until(() => page.page.evaluate(() => {
    const of = (kind) => window.e2eProbe.received.filter((frame) => frame.includes(`"${kind}"`)).length;
    const { state } = document.querySelector("karta-root").shadowRoot.querySelector(".call").dataset;
    return of("llm-function-call-in-progress") === 1 && of("bot-llm-started") === 1 && state === "thinking";
  }), "a tool at work", SLOW);
  await page.sees("agent", "It is on its way.", ["done"], SLOW);
  await hangUp(page);
});

test("pipecat: an error that the bot survives costs nothing, and one that it does not ends the call with a word", pipecat, async ({ tab }) => {
  const page = await open(tab, spoken);
  await talk(page);
  await page.say("please stumble");
  await page.sees("agent", "You said: please stumble", ["done"], SLOW);
  assert.equal(await frames(page, "error"), 1, "the bot has told of it");
  assert.deepEqual(await page.events("voice:ended"), []);
  await page.say("and now fall over");
  assert.equal((await page.event("voice:ended", undefined, SLOW)).reason, "engine");
  await page.say("Still here?");
  await page.sees("agent", "You said: Still here?");
});

test("a bot that cannot be reached leaves the visitor with text, and one clear word", { model: true, env: { KARTA_PIPECAT_URL: "http://127.0.0.1:9" }, agentArgs: ["--voice", "pipecat"] }, async ({ tab }) => {
  const page = await open(tab);
  await page.voice.click();
  await page.event("voice:ended", (e) => e.reason === "voice_unavailable");
  page.forgive(/502/);
  await page.say("Then in writing");
  await page.sees("agent", "You said: Then in writing");
});
