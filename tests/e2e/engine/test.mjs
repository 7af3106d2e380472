// Calls that go to a realtime engine: the real Pipecat, and a stand-in for OpenAI's Realtime API. The microphone is a recorded question.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { assert, test, until } from "../harness.mjs";

const ASKED = "what are your opening hours";
const SLOW = 40_000;

/** The question after so many seconds of silence: the recording begins with the microphone, and an engine takes a while to listen. */
function late(seconds) {
  const file = path.join(os.tmpdir(), `karta-question-${seconds}.wav`);
  const sound = fs.readFileSync(path.resolve(import.meta.dirname, "../../../fixtures/voice/opening-hours.wav"));
  const data = sound.indexOf("data") + 8;
  const rate = sound.readUInt32LE(28);
  const silence = Buffer.alloc(rate * seconds);
  const made = Buffer.concat([sound.subarray(0, data), silence, sound.subarray(data), Buffer.alloc(rate)]);
  made.writeUInt32LE(made.length - 8, 4);
  made.writeUInt32LE(made.length - data, data - 4);
  fs.writeFileSync(file, made);
  return file;
}

/** Runs before the page: remembers its connections, for their statistics. */
function keepPeers() {
  if (window.e2ePeers) return;
  const peers = [];
  Object.defineProperty(window, "e2ePeers", { value: peers });
  window.RTCPeerConnection = class extends window.RTCPeerConnection {
    constructor(...args) { super(...args); peers.push(this); }
  };
}

/** How much sound has come from the agent. */
const energy = (page) => page.page.evaluate(async () => {
  let sum = 0;
  for (const peer of window.e2ePeers) for (const report of (await peer.getStats()).values()) if (report.type === "inbound-rtp") sum += report.totalAudioEnergy ?? 0;
  return sum;
});

const talk = async (page) => {
  await page.voice.click();
  await until(async () => (await page.events("voice:started")).length, async () => `voice:started among ${JSON.stringify(await page.events())}`, SLOW);
};
const hangUp = (page) => page.page.evaluate(() => window.karta("endVoice"));

async function open(tab) {
  const page = await (await tab({ before: keepPeers })).load();
  await page.listen();
  await page.openPanel();
  return page;
}

for (const engine of ["pipecat", "openai"]) {
  const options = { model: true, engine, timeoutMs: 150_000, browser: { microphone: late(12) } };
  const quiet = { ...options, browser: { microphone: late(300) } };

  test(`${engine}: a question asked aloud is answered aloud, and both stand in the log`, options, async ({ tab, engine: peer }) => {
    const page = await open(tab);
    await page.say("Hello there");
    await page.sees("agent", "You said: Hello there");
    await talk(page);
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

  test(`${engine}: what is typed in a call is answered aloud, and cuts what is being said`, quiet, async ({ tab, engine: peer }) => {
    const page = await open(tab);
    await talk(page);
    const long = engine === "pipecat" ? "sentence number 1" : "long story";
    await page.say("tell me a long story");
    await page.sees("agent", long, ["streaming"], SLOW);
    await until(async () => await energy(page) > 0.001, "sound", SLOW);
    await new Promise((done) => setTimeout(done, 1_500));
    await page.say("stop");
    await page.sees("agent", engine === "pipecat" ? "You said: stop" : "You typed: stop", ["streaming", "done"], SLOW);
    await page.sees("agent", engine === "pipecat" ? "You said: stop" : "You typed: stop", ["done"], SLOW);
    await hangUp(page);
    if (engine === "openai") {
      const { client, server, said } = await peer.judged("rtc_1", (await page.probe()).received);
      const kinds = client.map((e) => e.type).filter((type) => type !== "response.cancel");
      assert.deepEqual(kinds, ["conversation.item.create", "response.create", "output_audio_buffer.clear", "conversation.item.create", "response.create"]);
      assert.ok(server.length > 20, `${server.length} server events`);
      assert.equal(said, `${1 + client.length + server.length} looked at, 0 wrong`);
    }
    const log = (await page.log()).filter((e) => e.text);
    assert.ok(log.every((e) => e.handed), JSON.stringify(log));
    assert.deepEqual(log.filter((e) => e.type === "user.message").map((e) => e.text), ["tell me a long story", "stop"]);
    // What was not heard is not there; the whole story has twelve sentences.
    const story = log.find((e) => e.type === "agent.message" && e.interrupted);
    if (story) assert.ok(story.text.length < 300, story.text);
  });

  test(`${engine}: an engine that goes in the middle of a call is told of, and text goes on`, { ...quiet, network: true }, async ({ tab, engine: peer }) => {
    const page = await open(tab);
    await talk(page);
    if (engine === "pipecat") await peer.close(); else await peer.vanish("rtc_1");
    await until(async () => (await page.events("voice:ended")).length, async () => `voice:ended among ${JSON.stringify(await page.events())}`, SLOW);
    page.takeComplaints(/502/);
    await page.say("Are you still there?");
    await page.sees("agent", "You said: Are you still there?");
  });
}

test("a bot that cannot be reached leaves the visitor with text, and one clear word", { model: true, env: { KARTA_PIPECAT_URL: "http://127.0.0.1:9" }, agentArgs: ["--voice", "pipecat"] }, async ({ tab }) => {
  const page = await open(tab);
  await page.voice.click();
  await page.event("voice:ended", (e) => e.reason === "voice_unavailable");
  assert.ok(page.takeComplaints(/502/).length >= 0);
  await page.say("Then in writing");
  await page.sees("agent", "You said: Then in writing");
});
